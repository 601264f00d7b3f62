#include "TailFloor.h"
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *conninfo;
    const char *schema;
    const char *channel;
    const char *event;
    long first_stream;
    int tails;
    double rate;
    double seconds;
    /// When the n-th insert over all streams began, or was due, and was committed, and when its row was there.
    double *started;
    double *acknowledged;
    double *delivered;
    long capacity;
    atomic_long written;
    atomic_long received;
    /// 0: not yet; below 0: no more.
    atomic_int listening;
    atomic_int finished;
    /// What `written` took, in seconds.
    double elapsed;
    char read_error[512];
    char write_error[512];
} tail_run;

/// For so long nothing may come of what was inserted before it counts as lost, in seconds.
static const double patience = 10;

static const char *const no_memory = "no memory";

/// Selects what is new of the stream that a notification names. 0: it cannot.
static int read_page(tail_run *run, PGconn *connection, int64_t *cursors, long tail) {
    char stream[8], position[8];
    const char *values[] = {stream, position};
    const int lengths[] = {8, 8}, formats[] = {1, 1};
    put64(stream, run->first_stream + tail);
    put64(position, cursors[tail]);
    PGresult *result = PQexecPrepared(connection, "page", 2, values, lengths, formats, 1);
    double time = now();
    int rows = PQntuples(result);
    for (int row = 0; row < rows; row++) {
        int64_t number = get64(PQgetvalue(result, row, 0)) * run->tails + tail;
        if (number >= 0 && number < run->capacity) run->delivered[number] = time;
    }
    cursors[tail] += rows;
    run->received += rows;
    return succeeded(connection, result, run->read_error, sizeof run->read_error);
}

/// Reads what is notified, until all is there that was written.
static void read_all(tail_run *run, PGconn *connection, int64_t *cursors) {
    long seen = 0;
    double progress = 0;
    while (!floor_is_stopped()) {
        if (run->finished) {
            if (run->received >= run->written) return;
            if (progress == 0 || run->received > seen) progress = now();
            seen = run->received;
            if (now() > progress + patience) {
                snprintf(
                    run->read_error, sizeof run->read_error, "%ld of %ld events came", seen, (long)run->written);
                return;
            }
        }
        struct pollfd descriptor = {PQsocket(connection), POLLIN, 0};
        int count = poll(&descriptor, 1, 100);
        if (count == 0 || (count < 0 && errno == EINTR)) continue;
        if (!PQconsumeInput(connection)) {
            snprintf(run->read_error, sizeof run->read_error, "%s", PQerrorMessage(connection));
            return;
        }
        PGnotify *notify;
        while ((notify = PQnotifies(connection))) {
            long tail = strtol(notify->extra, NULL, 10);
            PQfreemem(notify);
            if (tail < 0 || tail >= run->tails) continue;
            if (!read_page(run, connection, cursors, tail)) return;
        }
    }
}

static void *follow(void *context) {
    tail_run *run = context;
    int64_t *cursors = calloc((size_t)run->tails, sizeof *cursors);
    if (!cursors) snprintf(run->read_error, sizeof run->read_error, "%s", no_memory);
    PGconn *connection =
        cursors ? open_connection(run->conninfo, run->read_error, sizeof run->read_error) : NULL;
    if (connection) {
        char sql[512];
        snprintf(
            sql, sizeof sql,
            "select position, recorded_at, token, kind, coroutine_id, event from %s.events "
            "where stream_id = $1::int8 and position >= $2::int8 order by position limit 1000",
            run->schema);
        char listen[128];
        snprintf(listen, sizeof listen, "listen %s", run->channel);
        PGresult *prepared = PQprepare(connection, "page", sql, 0, NULL);
        if (succeeded(connection, prepared, run->read_error, sizeof run->read_error)
            && run_command(connection, listen, run->read_error, sizeof run->read_error)) {
            run->listening = 1;
            read_all(run, connection, cursors);
        }
    }
    run->listening = -1;
    free(cursors);
    PQfinish(connection);
    return NULL;
}

/// The answer to one statement of a pipeline in which each has a Sync of its own.
static int next_succeeded(PGconn *connection, char *error, size_t size) {
    int good = succeeded(connection, PQgetResult(connection), error, size);
    // What ends its results, and the Sync.
    PQclear(PQgetResult(connection));
    PQclear(PQgetResult(connection));
    return good;
}

static void insert_all(tail_run *run) {
    char *error = run->write_error;
    const size_t size = sizeof run->write_error;
    PGconn *connection = open_connection(run->conninfo, error, size);
    if (!connection) return;
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "insert into %s.events (stream_id, position, recorded_at, token, kind, coroutine_id, event) "
        "values ($1::int8, $2::int8, clock_timestamp(), $3::uuid, 'y', 'root.0', $4::json)",
        run->schema);
    static const char *notify = "select pg_notify($1::text, $2::text)";
    int good = run_command(connection, "set durable_streams.appending = on", error, size)
        && run_command(connection, "set synchronous_commit = on", error, size)
        && succeeded(connection, PQprepare(connection, "insert", sql, 0, NULL), error, size)
        && succeeded(connection, PQprepare(connection, "notify", notify, 0, NULL), error, size);
    if (good && !PQenterPipelineMode(connection)) {
        snprintf(error, size, "%s", PQerrorMessage(connection));
        good = 0;
    }
    char stream[8], position[8], token[16] = {1, 2, 3}, payload[24];
    const char *values[] = {stream, position, token, run->event};
    const int lengths[] = {8, 8, 16, (int)strlen(run->event)}, formats[] = {1, 1, 1, 1};
    const char *notified[] = {run->channel, payload};
    double begin = now();
    for (long number = 0; good && number < run->capacity; number++) {
        double due = begin + (double)number / run->rate;
        int is_late = now() > due;
        sleep_until(due);
        if (now() >= begin + run->seconds || run->listening < 0 || floor_is_stopped()) break;
        long tail = number % run->tails;
        put64(stream, run->first_stream + tail);
        put64(position, number / run->tails);
        snprintf(payload, sizeof payload, "%ld", tail);
        run->started[number] = is_late ? due : now();
        // Where the connection is gone, the first result says so.
        PQsendQueryPrepared(connection, "insert", 4, values, lengths, formats, 1);
        PQpipelineSync(connection);
        PQsendQueryPrepared(connection, "notify", 2, notified, NULL, NULL, 1);
        PQpipelineSync(connection);
        good = next_succeeded(connection, error, size);
        run->acknowledged[number] = now();
        if (!good) break;
        run->written++;
        good = next_succeeded(connection, error, size);
    }
    run->elapsed = now() - begin;
    PQfinish(connection);
}

/// But for the first fifth.
static void put_figures(const tail_run *run, floor_tail_figures *figures) {
    long warm = run->written / 5, count = run->written - warm;
    if (count == 0) return;
    double *from_start = malloc(sizeof(double) * (size_t)count * 2), *from_answer = from_start + count;
    if (!from_start) {
        snprintf(figures->error, sizeof figures->error, "%s", no_memory);
        return;
    }
    for (long i = 0; i < count; i++) {
        from_start[i] = run->delivered[warm + i] - run->started[warm + i];
        from_answer[i] = run->delivered[warm + i] - run->acknowledged[warm + i];
    }
    sort_samples(from_start, count);
    sort_samples(from_answer, count);
    figures->start_p50_microseconds = from_start[count / 2] * 1e6;
    figures->start_p99_microseconds = from_start[count * 99 / 100] * 1e6;
    figures->acknowledged_p50_microseconds = from_answer[count / 2] * 1e6;
    figures->acknowledged_p99_microseconds = from_answer[count * 99 / 100] * 1e6;
    figures->events_per_second = (double)run->written / run->elapsed;
    free(from_start);
}

floor_tail_figures floor_tail(
    const char *conninfo, const char *schema, long first_stream, int tails, double rate, double seconds,
    const char *event) {
    tail_run run = {
        .conninfo = conninfo, .schema = schema, .channel = "durable_streams_floor", .event = event,
        .first_stream = first_stream, .tails = tails, .rate = rate, .seconds = seconds,
        .capacity = (long)(rate * seconds) + 1};
    floor_tail_figures figures = {0};
    run.started = calloc((size_t)run.capacity * 3, sizeof *run.started);
    if (!run.started) {
        snprintf(figures.error, sizeof figures.error, "%s", no_memory);
        return figures;
    }
    run.acknowledged = run.started + run.capacity;
    run.delivered = run.acknowledged + run.capacity;
    pthread_t reader;
    int code = pthread_create(&reader, NULL, follow, &run);
    if (code == 0) {
        while (!run.listening) sleep_until(now() + 0.001);
        if (run.listening > 0) insert_all(&run);
        run.finished = 1;
        pthread_join(reader, NULL);
    } else {
        snprintf(run.read_error, sizeof run.read_error, "no thread: %s", strerror(code));
    }
    memcpy(figures.error, run.write_error[0] ? run.write_error : run.read_error, sizeof figures.error);
    if (!figures.error[0]) put_figures(&run, &figures);
    free(run.started);
    return figures;
}

typedef struct {
    PGconn **connections;
    struct pollfd *descriptors;
    int count;
    atomic_int finished;
    char error[512];
} listeners;

/// All of them on one thread: what counts is what they cost the server.
static void *drain(void *context) {
    listeners *all = context;
    while (!all->finished) {
        if (poll(all->descriptors, (nfds_t)all->count, 100) <= 0) continue;
        for (int i = 0; i < all->count; i++) {
            if (!all->descriptors[i].revents) continue;
            if (!PQconsumeInput(all->connections[i])) {
                snprintf(all->error, sizeof all->error, "%s", PQerrorMessage(all->connections[i]));
                // Not looked at any more.
                all->descriptors[i].fd = -1;
            }
            PGnotify *notify;
            while ((notify = PQnotifies(all->connections[i]))) PQfreemem(notify);
        }
    }
    return NULL;
}

static void notify_all(
    const char *conninfo, const char *channel, const char *payload, double seconds, floor_notify_figures *figures) {
    char *error = figures->error;
    const size_t size = sizeof figures->error;
    PGconn *connection = open_connection(conninfo, error, size);
    if (!connection) return;
    samples samples = {0};
    static const char *sql = "select pg_notify($1::text, $2::text)";
    int good = succeeded(connection, PQprepare(connection, "notify", sql, 0, NULL), error, size);
    const char *notified[] = {channel, payload};
    double begin = now();
    for (double start = begin; good && start < begin + seconds && !floor_is_stopped(); start = now()) {
        PGresult *result = PQexecPrepared(connection, "notify", 2, notified, NULL, NULL, 1);
        good = succeeded(connection, result, error, size);
        if (good && !add_sample(&samples, now() - start)) {
            snprintf(error, size, "%s", no_memory);
            good = 0;
        }
    }
    figures->notifies_per_second = (double)samples.count / (now() - begin);
    sort_samples(samples.values, samples.count);
    if (samples.count > 0) figures->p50_microseconds = samples.values[samples.count / 2] * 1e6;
    free(samples.values);
    PQfinish(connection);
}

floor_notify_figures floor_notify(
    const char *conninfo, const char *channel, const char *payload, int count, double seconds) {
    floor_notify_figures figures = {0};
    listeners all = {
        .connections = calloc((size_t)count + 1, sizeof *all.connections),
        .descriptors = calloc((size_t)count + 1, sizeof *all.descriptors)};
    if (!all.connections || !all.descriptors) snprintf(figures.error, sizeof figures.error, "%s", no_memory);
    char listen[128];
    snprintf(listen, sizeof listen, "listen \"%s\"", channel);
    while (!figures.error[0] && all.count < count && !floor_is_stopped()) {
        PGconn *connection = open_connection(conninfo, figures.error, sizeof figures.error);
        if (!connection) break;
        all.descriptors[all.count] = (struct pollfd){PQsocket(connection), POLLIN, 0};
        all.connections[all.count++] = connection;
        run_command(connection, listen, figures.error, sizeof figures.error);
    }
    pthread_t reader;
    int code = figures.error[0] ? 0 : pthread_create(&reader, NULL, drain, &all);
    if (code != 0) snprintf(figures.error, sizeof figures.error, "no thread: %s", strerror(code));
    if (!figures.error[0]) {
        notify_all(conninfo, channel, payload, seconds, &figures);
        all.finished = 1;
        pthread_join(reader, NULL);
        if (!figures.error[0]) memcpy(figures.error, all.error, sizeof figures.error);
    }
    for (int i = 0; i < all.count; i++) PQfinish(all.connections[i]);
    free(all.descriptors);
    free(all.connections);
    return figures;
}

const char *floor_listen(const char *conninfo, const char *channel) {
    static _Thread_local char error[512];
    error[0] = 0;
    PGconn *connection = open_connection(conninfo, error, sizeof error);
    if (!connection) return error;
    char sql[256];
    snprintf(sql, sizeof sql, "set application_name = \"%s\"; listen \"%s\"", channel, channel);
    if (run_command(connection, sql, error, sizeof error)) {
        puts("ready");
        fflush(stdout);
    }
    while (!error[0]) {
        struct pollfd descriptors[] = {{PQsocket(connection), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        if (poll(descriptors, 2, -1) < 0) continue;
        if (descriptors[1].revents) break;
        if (!PQconsumeInput(connection)) snprintf(error, sizeof error, "%s", PQerrorMessage(connection));
        PGnotify *notify;
        while ((notify = PQnotifies(connection))) PQfreemem(notify);
    }
    PQfinish(connection);
    return error;
}

floor_number floor_integer(const char *conninfo, const char *query) {
    floor_number number = {0};
    PGconn *connection = open_connection(conninfo, number.error, sizeof number.error);
    if (!connection) return number;
    PGresult *result = execute(connection, query);
    if (PQntuples(result) == 1) number.value = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    succeeded(connection, result, number.error, sizeof number.error);
    PQfinish(connection);
    return number;
}
