// What all floors need: a connection that says what is wrong with it, time, and samples. Not for the program.
#ifndef SESSION_H
#define SESSION_H

#include "FloorStop.h"

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

int floor_is_stopped(void);

/// Monotonic, in seconds.
double now(void);

/// Comes back earlier where the floor is stopped.
void sleep_until(double time);

void put64(char *bytes, int64_t value);
void put32(char *bytes, int32_t value);
int64_t get64(const char *bytes);

/// NULL, and `error`, where there is no connection.
PGconn *open_connection(const char *conninfo, char *error, size_t size);

/// Frees the result. Where it is none that a command or a query ends with, `error` says why and is never empty.
int succeeded(PGconn *connection, PGresult *result, char *error, size_t size);

/// The last result of these statements, as of `PQexec`, but the server is told to give up where the floor is stopped.
PGresult *execute(PGconn *connection, const char *sql);

int run_command(PGconn *connection, const char *sql, char *error, size_t size);

typedef struct {
    double *values;
    long count;
    long capacity;
} samples;

/// 0: there is no memory for it.
int add_sample(samples *all, double value);

void sort_samples(double *values, long count);

#endif
