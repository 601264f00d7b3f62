#include "TailFloor.h"
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const channel = "durable_streams_floor";

/// For so long nothing may come of what was inserted before it counts as lost, in seconds.
static const double patience = 10;

// MARK: The reader

typedef struct {
    long tail;
    int64_t position;
    double time;
} delivery;

typedef struct {
    PGconn *connection;
    long first_stream;
    int tails;
    /// What comes next, of each stream.
    int64_t *cursors;
    delivery *deliveries;
    long count;
    long capacity;
    /// How many there will be; below 0: that is not known yet.
    long expected;
    char *error;
    size_t error_size;
} reader;

/// 0: there is no memory for it.
static int note(reader *reader, delivery delivery) {
    if (reader->count == reader->capacity) {
        long capacity = reader->capacity ? reader->capacity * 2 : 65536;
        void *deliveries = realloc(reader->deliveries, (size_t)capacity * sizeof *reader->deliveries);
        if (!deliveries) {
            snprintf(reader->error, reader->error_size, "no memory");
            return 0;
        }
        reader->deliveries = deliveries;
        reader->capacity = capacity;
    }
    reader->deliveries[reader->count++] = delivery;
    return 1;
}

/// Selects what is new of the stream that a notification names. 0: it cannot.
static int read_page(reader *reader, long tail) {
    char stream[8], position[8];
    const char *values[] = {stream, position};
    const int lengths[] = {8, 8}, formats[] = {1, 1};
    put64(stream, reader->first_stream + tail);
    put64(position, reader->cursors[tail]);
    PGresult *result = PQexecPrepared(reader->connection, "page", 2, values, lengths, formats, 1);
    double time = now();
    int rows = PQntuples(result);
    for (int row = 0; row < rows; row++) {
        if (!note(reader, (delivery){tail, get64(PQgetvalue(result, row, 0)), time})) {
            PQclear(result);
            return 0;
        }
    }
    reader->cursors[tail] += rows;
    return succeeded(reader->connection, result, reader->error, reader->error_size);
}

/// How many there will be, from standard input. 0: it has ended.
static int read_expected(reader *reader) {
    char line[32];
    ssize_t count = read(STDIN_FILENO, line, sizeof line - 1);
    if (count <= 0) return count < 0 && errno == EINTR;
    line[count] = 0;
    reader->expected = strtol(line, NULL, 10);
    return 1;
}

/// Reads what is notified, until all is there that was written.
static void read_all(reader *reader) {
    long seen = -1;
    double progress = 0;
    while (!floor_is_stopped() && (reader->expected < 0 || reader->count < reader->expected)) {
        int is_told = reader->expected >= 0;
        struct pollfd descriptors[] = {
            {PQsocket(reader->connection), POLLIN, 0}, {is_told ? -1 : STDIN_FILENO, POLLIN, 0}};
        int count = poll(descriptors, 2, 100);
        if (is_told) {
            if (reader->count > seen) progress = now();
            seen = reader->count;
            if (now() > progress + patience) {
                snprintf(
                    reader->error, reader->error_size, "%ld of %ld events came", reader->count, reader->expected);
                return;
            }
        }
        if (count <= 0) continue;
        if (descriptors[1].revents && !read_expected(reader)) {
            snprintf(reader->error, reader->error_size, "nobody waits for what comes");
            return;
        }
        if (!descriptors[0].revents) continue;
        if (!PQconsumeInput(reader->connection)) {
            snprintf(reader->error, reader->error_size, "%s", PQerrorMessage(reader->connection));
            return;
        }
        PGnotify *notify;
        while ((notify = PQnotifies(reader->connection))) {
            long tail = strtol(notify->extra, NULL, 10);
            PQfreemem(notify);
            if (tail < 0 || tail >= reader->tails) continue;
            if (!read_page(reader, tail)) return;
        }
    }
}

static void follow(reader *reader, const char *schema) {
    char page[512], listen[256];
    snprintf(
        page, sizeof page,
        "select position, recorded_at, token, kind, coroutine_id, event from \"%s\".events "
        "where stream_id = $1::int8 and position >= $2::int8 order by position limit 1000",
        schema);
    snprintf(listen, sizeof listen, "set application_name = \"%s\"; listen %s", schema, channel);
    PGresult *prepared = PQprepare(reader->connection, "page", page, 0, NULL);
    if (!succeeded(reader->connection, prepared, reader->error, reader->error_size)
        || !run_command(reader->connection, listen, reader->error, reader->error_size))
        return;
    puts("ready");
    fflush(stdout);
    read_all(reader);
    if (reader->error[0]) return;
    for (long i = 0; i < reader->count; i++) {
        delivery delivery = reader->deliveries[i];
        printf("event %ld %lld %.0f\n", delivery.tail, (long long)delivery.position, delivery.time * 1e9);
    }
    printf("done %ld\n", reader->count);
    if (fflush(stdout) != 0) snprintf(reader->error, reader->error_size, "what came cannot be written");
}

const char *floor_tail_follow(const char *conninfo, const char *schema, long first_stream, int tails) {
    static _Thread_local char error[512];
    error[0] = 0;
    reader reader = {
        .first_stream = first_stream, .tails = tails, .expected = -1, .error = error, .error_size = sizeof error};
    reader.cursors = calloc((size_t)tails, sizeof *reader.cursors);
    if (reader.cursors) {
        reader.connection = open_connection(conninfo, error, sizeof error);
        if (reader.connection) follow(&reader, schema);
    } else {
        snprintf(error, sizeof error, "no memory");
    }
    PQfinish(reader.connection);
    free(reader.deliveries);
    free(reader.cursors);
    return error;
}

// MARK: The writer

/// The answer to one statement of a pipeline in which each has a Sync of its own.
static int next_succeeded(PGconn *connection, char *error, size_t size) {
    int good = succeeded(connection, PQgetResult(connection), error, size);
    // What ends its results, and the Sync.
    PQclear(PQgetResult(connection));
    PQclear(PQgetResult(connection));
    return good;
}

/// 0: it cannot.
static int prepare(PGconn *connection, const char *schema, char *error, size_t size) {
    char insert[512];
    snprintf(
        insert, sizeof insert,
        "insert into \"%s\".events (stream_id, position, recorded_at, token, kind, coroutine_id, event) "
        "values ($1::int8, $2::int8, clock_timestamp(), $3::uuid, 'y', 'root.0', $4::json)",
        schema);
    static const char *notify = "select pg_notify($1::text, $2::text)";
    if (!run_command(connection, "set durable_streams.appending = on", error, size)
        || !run_command(connection, "set synchronous_commit = on", error, size)
        || !succeeded(connection, PQprepare(connection, "insert", insert, 0, NULL), error, size)
        || !succeeded(connection, PQprepare(connection, "notify", notify, 0, NULL), error, size))
        return 0;
    if (PQenterPipelineMode(connection)) return 1;
    snprintf(error, size, "%s", PQerrorMessage(connection));
    return 0;
}

static int64_t nanoseconds(double time) { return (int64_t)(time * 1e9); }

floor_tail_written floor_tail_write(
    const char *conninfo, const char *schema, long first_stream, int tails, double rate, double seconds,
    const char *event, int64_t *started, int64_t *acknowledged, long capacity) {
    floor_tail_written written = {0};
    char *error = written.error;
    const size_t size = sizeof written.error;
    PGconn *connection = open_connection(conninfo, error, size);
    if (!connection) return written;
    int good = prepare(connection, schema, error, size);
    char stream[8], position[8], token[16] = {1, 2, 3}, payload[24];
    const char *values[] = {stream, position, token, event};
    const int lengths[] = {8, 8, 16, (int)strlen(event)}, formats[] = {1, 1, 1, 1};
    const char *notified[] = {channel, payload};
    double begin = now();
    for (long number = 0; good && number < capacity; number++) {
        double due = begin + (double)number / rate;
        int is_late = now() > due;
        sleep_until(due);
        if (now() >= begin + seconds || floor_is_stopped()) break;
        long tail = number % tails;
        put64(stream, first_stream + tail);
        put64(position, number / tails);
        snprintf(payload, sizeof payload, "%ld", tail);
        started[number] = nanoseconds(is_late ? due : now());
        // Where the connection is gone, the first result says so.
        PQsendQueryPrepared(connection, "insert", 4, values, lengths, formats, 1);
        PQpipelineSync(connection);
        PQsendQueryPrepared(connection, "notify", 2, notified, NULL, NULL, 1);
        PQpipelineSync(connection);
        good = next_succeeded(connection, error, size);
        acknowledged[number] = nanoseconds(now());
        if (!good) break;
        written.count++;
        good = next_succeeded(connection, error, size);
    }
    written.seconds = now() - begin;
    PQfinish(connection);
    return written;
}
