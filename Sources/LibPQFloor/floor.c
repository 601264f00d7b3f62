#include "LibPQFloor.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { maximum_samples = 4000000 };

typedef struct {
    const char *conninfo;
    const char *schema;
    const char *event;
    long stream;
    double seconds;
    double *samples;
    long count;
    char error[512];
} writer;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static void put64(char *bytes, int64_t value) {
    for (int i = 0; i < 8; i++) bytes[i] = (char)(value >> (56 - 8 * i));
}

static void put32(char *bytes, int32_t value) {
    for (int i = 0; i < 4; i++) bytes[i] = (char)(value >> (24 - 8 * i));
}

/// Connected, and past the guards of the table: they are the journal's price, not the server's.
static PGconn *open_connection(const char *conninfo, char *error, size_t size) {
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        snprintf(error, size, "%s", PQerrorMessage(connection));
        PQfinish(connection);
        return NULL;
    }
    PQclear(PQexec(connection, "set durable_streams.appending = on"));
    PQclear(PQexec(connection, "set synchronous_commit = on"));
    return connection;
}

static int prepare(PGconn *connection, const char *format, const char *schema, char *error, size_t size) {
    char sql[1024];
    snprintf(sql, sizeof sql, format, schema);
    PGresult *result = PQprepare(connection, "floor", sql, 0, NULL);
    int prepared = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!prepared) snprintf(error, size, "%s", PQresultErrorMessage(result));
    PQclear(result);
    return prepared;
}

static int execute(
    PGconn *connection, int count, const char *const *values, const int *lengths, const int *formats, char *error,
    size_t size) {
    PGresult *result = PQexecPrepared(connection, "floor", count, values, lengths, formats, 1);
    int done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!done) snprintf(error, size, "%s", PQresultErrorMessage(result));
    PQclear(result);
    return done;
}

static void *write_singly(void *context) {
    writer *self = context;
    PGconn *connection = open_connection(self->conninfo, self->error, sizeof self->error);
    if (!connection) return NULL;
    static const char *insert =
        "insert into %s.events (stream_id, position, recorded_at, token, kind, coroutine_id, event) "
        "values ($1::int8, $2::int8, clock_timestamp(), $3::uuid, 'y', 'root.0', $4::json)";
    if (prepare(connection, insert, self->schema, self->error, sizeof self->error)) {
        char stream[8], position[8], token[16] = {1, 2, 3};
        const char *values[] = {stream, position, token, self->event};
        const int lengths[] = {8, 8, 16, (int)strlen(self->event)};
        const int formats[] = {1, 1, 1, 1};
        put64(stream, self->stream);
        double end = now() + self->seconds;
        for (double start = now(); start < end && self->count < maximum_samples; start = now()) {
            put64(position, self->count);
            if (!execute(connection, 4, values, lengths, formats, self->error, sizeof self->error)) break;
            self->samples[self->count++] = now() - start;
        }
    }
    PQfinish(connection);
    return NULL;
}

static floor_figures figures(double *samples, long count, long events, double seconds) {
    floor_figures figures = {0};
    if (count == 0) return figures;
    qsort(samples, (size_t)count, sizeof *samples, compare);
    figures.events_per_second = (double)events / seconds;
    figures.p50_microseconds = samples[count / 2] * 1e6;
    figures.p99_microseconds = samples[count * 99 / 100] * 1e6;
    return figures;
}

floor_figures floor_insert(
    const char *conninfo, const char *schema, long first_stream, int writers, double seconds, const char *event) {
    writer *all = calloc((size_t)writers, sizeof *all);
    pthread_t *threads = calloc((size_t)writers, sizeof *threads);
    // Reserved, not used: pages that are never written cost nothing.
    double *samples = malloc(sizeof *samples * maximum_samples * (size_t)writers);
    double start = now();
    for (int i = 0; i < writers; i++) {
        all[i] = (writer){
            .conninfo = conninfo, .schema = schema, .event = event, .stream = first_stream + i, .seconds = seconds,
            .samples = samples + (size_t)i * maximum_samples};
        pthread_create(&threads[i], NULL, write_singly, &all[i]);
    }
    long count = 0;
    floor_figures result = {0};
    for (int i = 0; i < writers; i++) {
        pthread_join(threads[i], NULL);
        if (all[i].error[0]) memcpy(result.error, all[i].error, sizeof result.error);
        memmove(samples + count, all[i].samples, sizeof *samples * (size_t)all[i].count);
        count += all[i].count;
    }
    if (!result.error[0]) {
        double elapsed = now() - start;
        result = figures(samples, count, count, elapsed < seconds ? elapsed : seconds);
    }
    free(samples);
    free(threads);
    free(all);
    return result;
}

/// A one-dimensional array in binary format: header, then `count` elements of `size` bytes, which the caller fills in.
static size_t put_header(char *bytes, int32_t type, int32_t count) {
    const int32_t header[] = {1, 0, type, count, 1};
    for (int i = 0; i < 5; i++) put32(bytes + 4 * i, header[i]);
    return 20;
}

floor_figures floor_insert_batches(
    const char *conninfo, const char *schema, long first_stream, int batch, int one_stream, double seconds,
    const char *event) {
    floor_figures result = {0};
    PGconn *connection = open_connection(conninfo, result.error, sizeof result.error);
    if (!connection) return result;
    static const char *insert =
        "insert into %s.events (stream_id, position, recorded_at, token, kind, coroutine_id, event) "
        "select i.stream, i.position, clock_timestamp(), $3::uuid, 'y', 'root.0', i.event "
        "from unnest($1::int8[], $2::int8[], $4::json[]) as i (stream, position, event)";
    if (!prepare(connection, insert, schema, result.error, sizeof result.error)) {
        PQfinish(connection);
        return result;
    }
    size_t event_length = strlen(event);
    char *streams = malloc(20 + 12 * (size_t)batch), *positions = malloc(20 + 12 * (size_t)batch);
    char *events = malloc(20 + (4 + event_length) * (size_t)batch), token[16] = {1, 2, 3};
    size_t streams_length = put_header(streams, 20, batch), positions_length = put_header(positions, 20, batch);
    size_t events_length = put_header(events, 114, batch);
    for (int i = 0; i < batch; i++) {
        put32(streams + streams_length, 8);
        put64(streams + streams_length + 4, one_stream ? first_stream : first_stream + i);
        streams_length += 12;
        put32(positions + positions_length, 8);
        positions_length += 12;
        put32(events + events_length, (int32_t)event_length);
        memcpy(events + events_length + 4, event, event_length);
        events_length += 4 + event_length;
    }
    const char *values[] = {streams, positions, token, events};
    const int lengths[] = {(int)streams_length, (int)positions_length, 16, (int)events_length};
    const int formats[] = {1, 1, 1, 1};
    double *samples = malloc(sizeof *samples * maximum_samples);
    long count = 0;
    double begin = now();
    for (double start = begin; start < begin + seconds && count < maximum_samples; start = now()) {
        for (int i = 0; i < batch; i++) {
            put64(positions + 20 + 12 * i + 4, one_stream ? count * batch + i : count);
        }
        if (!execute(connection, 4, values, lengths, formats, result.error, sizeof result.error)) break;
        samples[count++] = now() - start;
    }
    if (!result.error[0]) result = figures(samples, count, count * batch, now() - begin);
    free(samples);
    free(events);
    free(positions);
    free(streams);
    PQfinish(connection);
    return result;
}

const char *floor_execute(const char *conninfo, const char *sql) {
    static _Thread_local char error[512];
    error[0] = 0;
    PGconn *connection = open_connection(conninfo, error, sizeof error);
    if (!connection) return error;
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        snprintf(error, sizeof error, "%s", PQresultErrorMessage(result));
    }
    PQclear(result);
    PQfinish(connection);
    return error;
}
