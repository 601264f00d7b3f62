#include "NotifyFloor.h"
#include "session.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
            snprintf(error, size, "no memory");
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
    if (!all.connections || !all.descriptors) snprintf(figures.error, sizeof figures.error, "no memory");
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
