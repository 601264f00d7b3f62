/// The shell program that looks after one private server: creates its folder, starts and stops the server, and takes
/// everything away again. ``Warden`` runs it; nobody else does.
///
/// Why a shell and not this process: it must still be there when this process has been killed with SIGKILL. Its
/// standard input is the other end of a socket that only this process holds, so the end of that input means "the
/// owner is gone", however it went. Commands run one after the other, and the end of input is seen only between two of
/// them, so there is no moment in which a half-started server could be forgotten.
///
/// It is plain POSIX `sh` (dash, bash 3.2) and needs only what a bare Debian image has.
///
/// Arguments: the server's bin folder, the folder for temporary files, `root` when it runs as root (else anything).
/// Input: an empty line, or the URI of a running server to be a standby of; the superuser's password, lines for
/// `postgresql.conf`, an empty line; then one command per line.
/// Output: one line per request of three fields parted by tabs: `ok` or `failed`, the folder, and a text (the server's
/// version, or what failed).
enum WardenScript {
    /// Seconds that a server may take to become ready, crash recovery included.
    static let secondsToStart = 60

    static let text = #"""
        bin=$1 base=$2 who=$3
        # A terminal's Ctrl-C and a dead owner's pipe must not end the one process that cleans up. The server and initdb
        # install their own handlers, so they still take these signals.
        trap '' HUP INT QUIT TERM PIPE
        umask 077
        cd /
        exec 2>/dev/null
        child='' dir='' run='' port='' stale=''

        reply() { printf '%s\t%s\t%s\n' "$1" "$dir" "$2"; }

        # Lines 1 and 8 of postmaster.pid: the process id, and the state as the server itself reports it.
        line_of_pid_file() { sed -n "$1{s/ *\$//;p;}" "$data/postmaster.pid" 2>/dev/null; }
        alive() { [ -n "$child" ] && kill -0 "$child" 2>/dev/null; }

        # To the server itself, which is not our child where runuser or sudo stands between. The id in a file left by an
        # earlier server may be anybody's by now.
        signal() {
            target=$(line_of_pid_file 1)
            if [ -z "$target" ] || [ "$target" = "$stale" ]; then target=$child; fi
            kill -s "$1" "$target" 2>/dev/null
        }

        # wait_gone seconds
        wait_gone() {
            turns=$(($1 * 50))
            while alive; do
                [ "$turns" -gt 0 ] || return 1
                turns=$((turns - 1))
                sleep 0.02
            done
            child=''
        }

        # The server refuses to run as root, so root picks somebody without rights.
        choose_user() {
            [ "$who" = root ] || return 0
            for user in postgres nobody daemon; do
                uid=$(id -u "$user") || continue
                gid=$(id -g "$user") || continue
                for run in "setpriv --reuid=$uid --regid=$gid --clear-groups --" "runuser -u $user --" \
                    "sudo -n -u $user --"; do
                    $run true </dev/null >/dev/null && return 0
                done
            done
            return 1
        }

        prepare() {
            if ! choose_user; then
                reply failed "root must run the server as another user, and none of setpriv, runuser, sudo can"
                return 1
            fi
            if ! dir=$(mktemp -d "$base/pg-XXXXXX"); then
                reply failed "no folder can be made in $base"
                return 1
            fi
            data=$dir/data log=$dir/log
            : >"$log"
            exec 2>>"$log"
            IFS= read -r primary || return 1
            IFS= read -r password || return 1
            printf '%s\n' "$password" >"$dir/password"
            while IFS= read -r line && [ -n "$line" ]; do printf '%s\n' "$line"; done >"$dir/settings"
            [ "$who" != root ] || chown -R "$uid:$gid" "$dir"
            if ! version=$($run "$bin/postgres" --version </dev/null); then
                reply failed "$bin/postgres does not run${run:+ as user $user}"
                return 1
            fi
            if [ -n "$primary" ]; then
                if ! $run "$bin/pg_basebackup" -D "$data" -d "$primary" -R -X stream -c fast --no-sync </dev/null >>"$log"; then
                    reply failed "pg_basebackup failed"
                    return 1
                fi
            elif ! $run "$bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C --no-sync --no-instructions \
                --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/password" </dev/null >>"$log"; then
                reply failed "initdb failed"
                return 1
            fi
            rm -f "$dir/password"
            cat "$dir/settings" >>"$data/postgresql.conf"
            reply ok "$version"
        }

        # start_server port [option…]
        start_server() {
            port=$1
            shift
            alive && return 0
            retries=100
            while :; do
                # A killed server leaves its file behind, "ready" and all: only a new process id counts.
                stale=$(line_of_pid_file 1)
                $run "$bin/postgres" -D "$data" -k "$dir" -p "$port" "$@" </dev/null >>"$log" 2>&1 &
                child=$!
                turns=$((SECONDS_TO_START * 50))
                while alive; do
                    [ "$(line_of_pid_file 1)" != "$stale" ] && [ "$(line_of_pid_file 8)" = ready ] && return 0
                    [ "$turns" -gt 0 ] || { stop_server immediate; return 1; }
                    turns=$((turns - 1))
                    sleep 0.02
                done
                child=''
                # Backends of a killed postmaster live until they notice; the server refuses to start beside them.
                tail -n 5 "$log" | grep -q 'still in use' && [ "$retries" -gt 0 ] || return 1
                retries=$((retries - 1))
                sleep 0.1
            done
        }

        # stop_server fast|immediate
        stop_server() {
            if [ "$1" = fast ]; then
                signal INT
                wait_gone 30 && return 0
            fi
            signal QUIT
            wait_gone 10 && return 0
            signal KILL
            kill -s KILL "$child" 2>/dev/null
            wait_gone 10
        }

        remove() {
            [ -n "$dir" ] || return 0
            alive && stop_server immediate
            # A killed server's shared memory is freed by the next one that starts on the same folder.
            if [ -n "$port" ] && [ -e "$data/postmaster.pid" ]; then
                start_server "$port" -c fsync=off && stop_server immediate
            fi
            turns=100
            while [ -e "$dir" ] && [ "$turns" -gt 0 ]; do
                rm -rf "$dir" 2>/dev/null || sleep 0.1
                turns=$((turns - 1))
            done
        }

        if prepare; then
            while read -r verb argument; do
                case $verb in
                    start) if start_server "$argument"; then reply ok; else reply failed "the server did not start"; fi ;;
                    stop) if alive; then stop_server "$argument"; fi; reply ok ;;
                    kill) if alive; then signal KILL; wait_gone 10; fi; reply ok ;;
                    remove) break ;;
                    *) reply failed "unknown command" ;;
                esac
            done
        else
            # The owner reads the log before it lets go.
            while read -r verb; do [ "$verb" = remove ] && break; done
        fi
        remove
        reply ok
        """#.replacing("SECONDS_TO_START", with: "\(secondsToStart)")
}
