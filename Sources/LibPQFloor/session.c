#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static atomic_int stopped;

void floor_stop(void) { stopped = 1; }

int floor_is_stopped(void) { return stopped; }

double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void sleep_until(double time) {
    for (double rest = time - now(); rest > 0 && !stopped; rest = time - now()) {
        if (rest > 0.1) rest = 0.1;
        struct timespec left = {0, (long)(rest * 1e9)};
        nanosleep(&left, NULL);
    }
}

void put64(char *bytes, int64_t value) {
    for (int i = 0; i < 8; i++) bytes[i] = (char)(value >> (56 - 8 * i));
}

void put32(char *bytes, int32_t value) {
    for (int i = 0; i < 4; i++) bytes[i] = (char)(value >> (24 - 8 * i));
}

int64_t get64(const char *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | (unsigned char)bytes[i];
    return (int64_t)value;
}

PGconn *open_connection(const char *conninfo, char *error, size_t size) {
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        snprintf(error, size, "%s", connection ? PQerrorMessage(connection) : "no memory");
        PQfinish(connection);
        return NULL;
    }
    // A pooler would mix up prepared statements, and hand our settings to others.
    PGresult *result = PQexec(connection, "select pg_catalog.pg_backend_pid()");
    int is_answered = PQresultStatus(result) == PGRES_TUPLES_OK;
    int is_own = is_answered && atoi(PQgetvalue(result, 0, 0)) == PQbackendPID(connection);
    PQclear(result);
    if (is_own) return connection;
    snprintf(
        error, size, "%s",
        is_answered ? "a pooler is in between, through which nothing can be compared: name the server itself"
                    : PQerrorMessage(connection));
    PQfinish(connection);
    return NULL;
}

int succeeded(PGconn *connection, PGresult *result, char *error, size_t size) {
    ExecStatusType status = PQresultStatus(result);
    int good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!good) {
        // A lost connection may leave no result at all.
        const char *text = result ? PQresultErrorMessage(result) : PQerrorMessage(connection);
        snprintf(error, size, "%s", text[0] ? text : "the server gave no answer");
    }
    PQclear(result);
    return good;
}

static void cancel(PGconn *connection) {
    char error[256];
    PGcancel *cancel = PQgetCancel(connection);
    if (cancel) PQcancel(cancel, error, sizeof error);
    PQfreeCancel(cancel);
}

PGresult *execute(PGconn *connection, const char *sql) {
    PGresult *last = NULL;
    int cancelled = 0;
    if (!PQsendQuery(connection, sql)) return NULL;
    for (;;) {
        while (PQisBusy(connection)) {
            if (stopped && !cancelled) {
                cancelled = 1;
                cancel(connection);
            }
            struct pollfd descriptor = {PQsocket(connection), POLLIN, 0};
            int count = poll(&descriptor, 1, 100);
            if (count < 0 && errno != EINTR) break;
            if (count > 0 && !PQconsumeInput(connection)) break;
        }
        PGresult *result = PQgetResult(connection);
        if (!result) return last;
        PQclear(last);
        last = result;
        // Its rows are for whoever asked.
        if (PQresultStatus(result) == PGRES_COPY_OUT) return last;
    }
}

int run_command(PGconn *connection, const char *sql, char *error, size_t size) {
    return succeeded(connection, execute(connection, sql), error, size);
}

int add_sample(samples *all, double value) {
    if (all->count == all->capacity) {
        long capacity = all->capacity ? all->capacity * 2 : 4096;
        double *values = realloc(all->values, sizeof *values * (size_t)capacity);
        if (!values) return 0;
        all->values = values;
        all->capacity = capacity;
    }
    all->values[all->count++] = value;
    return 1;
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

void sort_samples(double *values, long count) { qsort(values, (size_t)count, sizeof *values, compare); }
