// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "durable-streams",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "TisynStreams", targets: ["TisynStreams"]),
        .library(name: "PostgresStreams", targets: ["PostgresStreams"]),
        .library(name: "StreamConformance", targets: ["StreamConformance"]),
        .executable(name: "durable-streams", targets: ["durable-streams"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", "3.12.0"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.5.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.0", traits: []),
    ],
    targets: [
        .systemLibrary(
            name: "CLibPQ",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"]), .brew(["libpq"])]
        ),
        .target(
            name: "LibPQ",
            dependencies: ["CLibPQ", .product(name: "DequeModule", package: "swift-collections")]
        ),
        .target(
            name: "TisynStreams",
            dependencies: [.product(name: "Crypto", package: "swift-crypto")]
        ),
        .target(
            name: "Migrations",
            path: "Migrations",
            exclude: ["roles.sql"],
            resources: [
                .embedInCode("0001_journal.sql"),
                .embedInCode("0002_append.sql"),
                .embedInCode("0003_guards.sql"),
                .embedInCode("0004_storage.sql"),
            ]
        ),
        .target(
            name: "PostgresStreams",
            dependencies: [
                "LibPQ", "Migrations", "TisynStreams",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
            ]
        ),
        .target(name: "StreamConformance", dependencies: ["TisynStreams"]),
        .target(name: "StreamHistory"),
        .target(name: "StreamFuzz", dependencies: ["TisynStreams"]),
        .target(
            name: "StreamStress",
            dependencies: [
                "PostgresStreams", "StreamHistory", "TisynStreams",
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .target(
            name: "ChildProcesses",
            dependencies: [
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system", condition: .when(platforms: [.linux])),
            ]
        ),
        .target(name: "PrivatePostgres", dependencies: ["ChildProcesses"]),
        .target(name: "LibPQFloor", dependencies: ["CLibPQ"]),
        .executableTarget(
            name: "durable-streams",
            dependencies: [
                "ChildProcesses", "LibPQFloor", "PostgresStreams", "PrivatePostgres", "StreamHistory", "StreamStress",
                "TisynStreams",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "durable-streams", "ChildProcesses", "PostgresStreams", "PrivatePostgres", "StreamHistory",
                "StreamStress",
            ]
        ),
        .testTarget(name: "ChildProcessesTests", dependencies: ["ChildProcesses"]),
        .testTarget(name: "LibPQTests", dependencies: ["LibPQ", "PrivatePostgres"]),
        .testTarget(name: "StreamConformanceTests", dependencies: ["StreamConformance", "TisynStreams"]),
        .testTarget(name: "StreamHistoryTests", dependencies: ["StreamHistory"]),
        .testTarget(name: "TisynStreamsTests", dependencies: ["TisynStreams", "StreamConformance", "StreamFuzz"]),
        .testTarget(
            name: "PostgresStreamsTests",
            dependencies: [
                "ChildProcesses", "PostgresStreams", "PrivatePostgres", "StreamConformance", "StreamFuzz",
                "StreamHistory", "StreamStress",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
            ]
        ),
        .testTarget(name: "ReadmeTests", dependencies: ["PostgresStreams", "PrivatePostgres"]),
        .testTarget(name: "PrivatePostgresTests", dependencies: ["ChildProcesses", "PrivatePostgres"]),
    ],
    swiftLanguageModes: [.v6]
)

// libFuzzer brings the program's beginning: built only where there is one, by Scripts/fuzz.
if Context.environment["DURABLE_STREAMS_FUZZ"] != nil {
    package.targets.append(.executableTarget(name: "event-fuzzer", dependencies: ["StreamFuzz"]))
}
