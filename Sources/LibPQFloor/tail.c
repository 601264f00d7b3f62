#include "TailFloor.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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
    /// When the n-th insert over all streams began and was committed, and when its row was there.
    double *started;
    double *acknowledged;
    double *delivered;
    long capacity;
    atomic_long written;
    atomic_long received;
    atomic_int listening;
    atomic_int finished;
    char error[512];
} tail_run;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void sleep_until(double time) {
    for (double rest = time - now(); rest > 0; rest = time - now()) {
        struct timespec left = {(time_t)rest, (long)((rest - (double)(time_t)rest) * 1e9)};
        nanosleep(&left, NULL);
    }
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static void put64(char *bytes, int64_t value) {
    for (int i = 0; i < 8; i++) bytes[i] = (char)(value >> (56 - 8 * i));
}

static int64_t get64(const char *bytes) {
    int64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static PGconn *open_connection(const char *conninfo, char *error, size_t size) {
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) == CONNECTION_OK) return connection;
    snprintf(error, size, "%s", PQerrorMessage(connection));
    PQfinish(connection);
    return NULL;
}

static int succeeded(PGresult *result, char *error, size_t size) {
    ExecStatusType status = PQresultStatus(result);
    int good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!good) snprintf(error, size, "%s", PQresultErrorMessage(result));
    PQclear(result);
    return good;
}

static int run_command(PGconn *connection, const char *sql, char *error, size_t size) {
    return succeeded(PQexec(connection, sql), error, size);
}

/// Waits for bytes, and gives libpq what came. 0: the connection is gone, or `patience` (milliseconds) is over.
static int wait_for_input(PGconn *connection, int patience) {
    struct pollfd descriptor = {PQsocket(connection), POLLIN, 0};
    int count = poll(&descriptor, 1, patience);
    return (count > 0 || errno == EINTR) && PQconsumeInput(connection);
}

static void *follow(void *context) {
    tail_run *run = context;
    PGconn *connection = open_connection(run->conninfo, run->error, sizeof run->error);
    if (!connection) {
        run->listening = -1;
        return NULL;
    }
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "select position, recorded_at, token, kind, coroutine_id, event from %s.events "
        "where stream_id = $1::int8 and position >= $2::int8 order by position limit 1000",
        run->schema);
    char listen[128];
    snprintf(listen, sizeof listen, "listen %s", run->channel);
    int good = succeeded(PQprepare(connection, "page", sql, 0, NULL), run->error, sizeof run->error)
        && run_command(connection, listen, run->error, sizeof run->error);
    run->listening = good ? 1 : -1;
    int64_t *cursors = calloc((size_t)run->tails, sizeof *cursors);
    char stream[8], position[8];
    const char *values[] = {stream, position};
    const int lengths[] = {8, 8}, formats[] = {1, 1};
    while (good && !(run->finished && run->received == run->written)) {
        if (!wait_for_input(connection, 1000)) continue;
        PGnotify *notify;
        while ((notify = PQnotifies(connection))) {
            long tail = strtol(notify->extra, NULL, 10);
            PQfreemem(notify);
            if (tail < 0 || tail >= run->tails) continue;
            put64(stream, run->first_stream + tail);
            put64(position, cursors[tail]);
            PGresult *result = PQexecPrepared(connection, "page", 2, values, lengths, formats, 1);
            if (PQresultStatus(result) != PGRES_TUPLES_OK) {
                snprintf(run->error, sizeof run->error, "%s", PQresultErrorMessage(result));
                PQclear(result);
                good = 0;
                break;
            }
            double time = now();
            int rows = PQntuples(result);
            for (int row = 0; row < rows; row++) {
                long number = (long)get64(PQgetvalue(result, row, 0)) * run->tails + tail;
                if (number < run->capacity) run->delivered[number] = time;
            }
            cursors[tail] += rows;
            run->received += rows;
            PQclear(result);
        }
    }
    free(cursors);
    PQfinish(connection);
    return NULL;
}

static void insert_all(tail_run *run) {
    PGconn *connection = open_connection(run->conninfo, run->error, sizeof run->error);
    if (!connection) return;
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "insert into %s.events (stream_id, position, recorded_at, token, kind, coroutine_id, event) "
        "values ($1::int8, $2::int8, clock_timestamp(), $3::uuid, 'y', 'root.0', $4::json)",
        run->schema);
    int good = run_command(connection, "set durable_streams.appending = on", run->error, sizeof run->error)
        && run_command(connection, "set synchronous_commit = on", run->error, sizeof run->error)
        && succeeded(PQprepare(connection, "insert", sql, 0, NULL), run->error, sizeof run->error)
        && succeeded(
               PQprepare(connection, "notify", "select pg_notify($1::text, $2::text)", 0, NULL), run->error,
               sizeof run->error);
    char stream[8], position[8], token[16] = {1, 2, 3}, payload[24];
    const char *values[] = {stream, position, token, run->event};
    const int lengths[] = {8, 8, 16, (int)strlen(run->event)}, formats[] = {1, 1, 1, 1};
    const char *notified[] = {run->channel, payload};
    double begin = now();
    for (long number = 0; good && number < run->capacity && now() < begin + run->seconds; number++) {
        sleep_until(begin + (double)number / run->rate);
        long tail = number % run->tails;
        put64(stream, run->first_stream + tail);
        put64(position, number / run->tails);
        run->started[number] = now();
        good = succeeded(
            PQexecPrepared(connection, "insert", 4, values, lengths, formats, 1), run->error, sizeof run->error);
        run->acknowledged[number] = now();
        if (!good) break;
        run->written++;
        snprintf(payload, sizeof payload, "%ld", tail);
        good = succeeded(
            PQexecPrepared(connection, "notify", 2, notified, NULL, NULL, 1), run->error, sizeof run->error);
    }
    PQfinish(connection);
}

floor_tail_figures floor_tail(
    const char *conninfo, const char *schema, long first_stream, int tails, double rate, double seconds,
    const char *event) {
    tail_run run = {
        .conninfo = conninfo, .schema = schema, .channel = "durable_streams_floor", .event = event,
        .first_stream = first_stream, .tails = tails, .rate = rate, .seconds = seconds,
        .capacity = (long)(rate * seconds) + 1};
    run.started = calloc((size_t)run.capacity * 3, sizeof *run.started);
    run.acknowledged = run.started + run.capacity;
    run.delivered = run.acknowledged + run.capacity;
    pthread_t reader;
    pthread_create(&reader, NULL, follow, &run);
    while (!run.listening) sleep_until(now() + 0.001);
    if (run.listening > 0) insert_all(&run);
    run.finished = 1;
    pthread_join(reader, NULL);
    floor_tail_figures figures = {0};
    memcpy(figures.error, run.error, sizeof figures.error);
    long warm = run.written / 5, count = run.written - warm;
    if (!run.error[0] && count > 0) {
        double *from_start = malloc(sizeof(double) * (size_t)count * 2), *from_answer = from_start + count;
        for (long i = 0; i < count; i++) {
            from_start[i] = run.delivered[warm + i] - run.started[warm + i];
            from_answer[i] = run.delivered[warm + i] - run.acknowledged[warm + i];
        }
        qsort(from_start, (size_t)count, sizeof(double), compare);
        qsort(from_answer, (size_t)count, sizeof(double), compare);
        figures.start_p50_microseconds = from_start[count / 2] * 1e6;
        figures.start_p99_microseconds = from_start[count * 99 / 100] * 1e6;
        figures.acknowledged_p50_microseconds = from_answer[count / 2] * 1e6;
        figures.acknowledged_p99_microseconds = from_answer[count * 99 / 100] * 1e6;
        figures.events = run.written;
        free(from_start);
    }
    free(run.started);
    return figures;
}

typedef struct {
    PGconn **connections;
    int count;
    atomic_int finished;
} listeners;

/// All of them on one thread: what counts is what they cost the server.
static void *drain(void *context) {
    listeners *all = context;
    struct pollfd *descriptors = calloc((size_t)all->count, sizeof *descriptors);
    for (int i = 0; i < all->count; i++) {
        descriptors[i] = (struct pollfd){PQsocket(all->connections[i]), POLLIN, 0};
    }
    while (!all->finished) {
        if (poll(descriptors, (nfds_t)all->count, 100) <= 0) continue;
        for (int i = 0; i < all->count; i++) {
            if (!descriptors[i].revents) continue;
            PQconsumeInput(all->connections[i]);
            PGnotify *notify;
            while ((notify = PQnotifies(all->connections[i]))) PQfreemem(notify);
        }
    }
    free(descriptors);
    return NULL;
}

floor_notify_figures floor_notify(
    const char *conninfo, const char *channel, const char *payload, int count, double seconds) {
    floor_notify_figures figures = {0};
    listeners all = {calloc((size_t)count + 1, sizeof(PGconn *)), 0, 0};
    char listen[128];
    snprintf(listen, sizeof listen, "listen \"%s\"", channel);
    for (; all.count < count; all.count++) {
        PGconn *connection = open_connection(conninfo, figures.error, sizeof figures.error);
        if (!connection) break;
        all.connections[all.count] = connection;
        run_command(connection, listen, figures.error, sizeof figures.error);
    }
    pthread_t reader;
    pthread_create(&reader, NULL, drain, &all);
    PGconn *connection = figures.error[0] ? NULL : open_connection(conninfo, figures.error, sizeof figures.error);
    if (connection) {
        long capacity = 4000000, sent = 0;
        double *samples = malloc(sizeof *samples * (size_t)capacity);
        int good = succeeded(
            PQprepare(connection, "notify", "select pg_notify($1::text, $2::text)", 0, NULL), figures.error,
            sizeof figures.error);
        const char *notified[] = {channel, payload};
        double begin = now();
        for (double start = begin; good && sent < capacity && start < begin + seconds; start = now()) {
            good = succeeded(
                PQexecPrepared(connection, "notify", 2, notified, NULL, NULL, 1), figures.error, sizeof figures.error);
            samples[sent++] = now() - start;
        }
        figures.notifies_per_second = (double)sent / (now() - begin);
        qsort(samples, (size_t)sent, sizeof *samples, compare);
        if (sent > 0) figures.p50_microseconds = samples[sent / 2] * 1e6;
        free(samples);
        PQfinish(connection);
    }
    all.finished = 1;
    pthread_join(reader, NULL);
    for (int i = 0; i < all.count; i++) PQfinish(all.connections[i]);
    free(all.connections);
    return figures;
}

const char *floor_listen(const char *conninfo, const char *channel) {
    static _Thread_local char error[512];
    error[0] = 0;
    PGconn *connection = open_connection(conninfo, error, sizeof error);
    if (!connection) return error;
    char listen[128];
    snprintf(listen, sizeof listen, "listen \"%s\"", channel);
    if (run_command(connection, listen, error, sizeof error)) {
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

long floor_integer(const char *conninfo, const char *query) {
    char error[512];
    PGconn *connection = open_connection(conninfo, error, sizeof error);
    if (!connection) return -1;
    PGresult *result = PQexec(connection, query);
    long value = PQntuples(result) == 1 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : -1;
    PQclear(result);
    PQfinish(connection);
    return value;
}
