#include "LibPQFloor.h"
#include "session.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const no_memory = "no memory";

/// Where the writers wait until all of them can begin, so that connecting is not measured.
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /// Writers that have not come yet.
    int missing;
    /// 0: not yet; below 0: never.
    double begin;
} gate;

typedef struct {
    const char *conninfo;
    const char *schema;
    const char *event;
    long stream;
    double seconds;
    /// How long it is from one to the next on average; 0: nothing.
    double pause;
    gate *gate;
    samples samples;
    double end;
    char error[512];
} writer;

static double pass(gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->missing--;
    pthread_cond_broadcast(&gate->changed);
    while (gate->begin == 0) pthread_cond_wait(&gate->changed, &gate->mutex);
    double begin = gate->begin;
    pthread_mutex_unlock(&gate->mutex);
    return begin;
}

/// Past the guards of the table: they are the journal's price, not the server's.
static PGconn *open_writing(const char *conninfo, const char *format, const char *schema, char *error, size_t size) {
    PGconn *connection = open_connection(conninfo, error, size);
    if (!connection) return NULL;
    char sql[1024];
    snprintf(sql, sizeof sql, format, schema);
    if (run_command(connection, "set durable_streams.appending = on", error, size)
        && run_command(connection, "set synchronous_commit = on", error, size)
        && succeeded(connection, PQprepare(connection, "floor", sql, 0, NULL), error, size)) {
        return connection;
    }
    PQfinish(connection);
    return NULL;
}

static int insert(
    PGconn *connection, const char *const *values, const int *lengths, char *error, size_t size) {
    static const int formats[] = {1, 1, 1, 1};
    PGresult *result = PQexecPrepared(connection, "floor", 4, values, lengths, formats, 1);
    return succeeded(connection, result, error, size);
}

static void *write_singly(void *context) {
    writer *self = context;
    static const char *sql =
        "insert into %s.events (stream_id, position, recorded_at, token, kind, coroutine_id, event) "
        "values ($1::int8, $2::int8, clock_timestamp(), $3::uuid, 'y', 'root.0', $4::json)";
    PGconn *connection = open_writing(self->conninfo, sql, self->schema, self->error, sizeof self->error);
    double begin = pass(self->gate);
    if (!connection) return NULL;
    if (begin > 0) {
        char stream[8], position[8], token[16] = {1, 2, 3};
        const char *values[] = {stream, position, token, self->event};
        const int lengths[] = {8, 8, 16, (int)strlen(self->event)};
        put64(stream, self->stream);
        unsigned short random[3] = {(unsigned short)(self->stream * 40503), (unsigned short)(self->stream * 30011), 1};
        for (int i = 0; i < 8; i++) erand48(random);
        double due = begin, end = begin + self->seconds;
        for (double start = now(); start < end && !floor_is_stopped(); start = now()) {
            if (self->pause > 0) {
                due -= log(1 - erand48(random)) * self->pause;
                if (due >= end) break;
                sleep_until(due);
                start = due > start ? now() : due;
            }
            put64(position, self->samples.count);
            if (!insert(connection, values, lengths, self->error, sizeof self->error)) break;
            if (!add_sample(&self->samples, now() - start)) {
                snprintf(self->error, sizeof self->error, "%s", no_memory);
                break;
            }
        }
        self->end = now();
    }
    PQfinish(connection);
    return NULL;
}

static floor_figures figures(double *samples, long count, long events, double seconds) {
    floor_figures figures = {0};
    if (count == 0) return figures;
    sort_samples(samples, count);
    figures.events_per_second = (double)events / seconds;
    figures.p50_microseconds = samples[count / 2] * 1e6;
    figures.p99_microseconds = samples[count * 99 / 100] * 1e6;
    return figures;
}

/// All of them together, from `begin` to the end of the last.
static floor_figures join_samples(writer *all, int writers, double begin) {
    floor_figures result = {0};
    long count = 0;
    double end = begin;
    for (int i = 0; i < writers; i++) {
        count += all[i].samples.count;
        if (all[i].end > end) end = all[i].end;
    }
    if (count == 0) return result;
    double *samples = malloc(sizeof *samples * (size_t)count);
    if (!samples) {
        snprintf(result.error, sizeof result.error, "%s", no_memory);
        return result;
    }
    long joined = 0;
    for (int i = 0; i < writers; i++) {
        if (all[i].samples.count == 0) continue;
        memcpy(samples + joined, all[i].samples.values, sizeof *samples * (size_t)all[i].samples.count);
        joined += all[i].samples.count;
    }
    result = figures(samples, count, count, end - begin);
    free(samples);
    return result;
}

floor_figures floor_insert(
    const char *conninfo, const char *schema, long first_stream, int writers, double rate, double seconds,
    const char *event) {
    floor_figures result = {0};
    writer *all = calloc((size_t)writers, sizeof *all);
    pthread_t *threads = calloc((size_t)writers, sizeof *threads);
    gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, writers, 0};
    int count = 0;
    if (!all || !threads) snprintf(result.error, sizeof result.error, "%s", no_memory);
    for (; !result.error[0] && count < writers; count++) {
        all[count] = (writer){
            .conninfo = conninfo, .schema = schema, .event = event, .stream = first_stream + count, .seconds = seconds,
            .pause = rate > 0 ? writers / rate : 0, .gate = &gate};
        int code = pthread_create(&threads[count], NULL, write_singly, &all[count]);
        if (code == 0) continue;
        snprintf(result.error, sizeof result.error, "thread %d of %d: %s", count + 1, writers, strerror(code));
        break;
    }
    pthread_mutex_lock(&gate.mutex);
    gate.missing -= writers - count;
    while (gate.missing > 0) pthread_cond_wait(&gate.changed, &gate.mutex);
    for (int i = 0; i < count; i++) {
        if (all[i].error[0]) memcpy(result.error, all[i].error, sizeof result.error);
    }
    double begin = gate.begin = result.error[0] ? -1 : now();
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        if (all[i].error[0]) memcpy(result.error, all[i].error, sizeof result.error);
    }
    if (!result.error[0]) result = join_samples(all, count, begin);
    for (int i = 0; i < count; i++) free(all[i].samples.values);
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
    static const char *sql =
        "insert into %s.events (stream_id, position, recorded_at, token, kind, coroutine_id, event) "
        "select i.stream, i.position, clock_timestamp(), $3::uuid, 'y', 'root.0', i.event "
        "from unnest($1::int8[], $2::int8[], $4::json[]) as i (stream, position, event)";
    PGconn *connection = open_writing(conninfo, sql, schema, result.error, sizeof result.error);
    if (!connection) return result;
    size_t event_length = strlen(event);
    char *streams = malloc(20 + 12 * (size_t)batch), *positions = malloc(20 + 12 * (size_t)batch);
    char *events = malloc(20 + (4 + event_length) * (size_t)batch), token[16] = {1, 2, 3};
    samples samples = {0};
    long written = 0;
    if (!streams || !positions || !events) {
        snprintf(result.error, sizeof result.error, "%s", no_memory);
        goto done;
    }
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
    double begin = now();
    for (double start = begin; start < begin + seconds && !floor_is_stopped(); start = now()) {
        for (int i = 0; i < batch; i++) {
            put64(positions + 20 + 12 * i + 4, one_stream ? written * batch + i : written);
        }
        if (!insert(connection, values, lengths, result.error, sizeof result.error)) break;
        written++;
        if (!add_sample(&samples, now() - start)) {
            snprintf(result.error, sizeof result.error, "%s", no_memory);
            break;
        }
    }
    if (!result.error[0]) result = figures(samples.values, written, written * batch, now() - begin);
done:
    free(samples.values);
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
    if (run_command(connection, "set durable_streams.appending = on", error, sizeof error)) {
        run_command(connection, sql, error, sizeof error);
    }
    PQfinish(connection);
    return error;
}

const char *floor_options(const char *conninfo) {
    static _Thread_local char options[4096];
    options[0] = 0;
    PQconninfoOption *all = PQconninfoParse(conninfo, NULL);
    for (PQconninfoOption *option = all; option && option->keyword; option++) {
        if (strcmp(option->keyword, "options") == 0 && option->val) {
            snprintf(options, sizeof options, "%s", option->val);
        }
    }
    PQconninfoFree(all);
    return options;
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
