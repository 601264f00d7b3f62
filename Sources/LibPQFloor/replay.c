#include "ReplayFloor.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static PGconn *connect_to(const char *conninfo, floor_reading *reading) {
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) == CONNECTION_OK) {
        // The plan that gives a stream's rows in order soonest, whatever the table's statistics say.
        PQclear(PQexec(
            connection, "set enable_seqscan = off; set enable_bitmapscan = off; set enable_sort = off; "
                        "set max_parallel_workers_per_gather = 0; set jit = off"));
        return connection;
    }
    snprintf(reading->error, sizeof reading->error, "%s", PQerrorMessage(connection));
    PQfinish(connection);
    return NULL;
}

floor_reading floor_copy(const char *conninfo, const char *query) {
    floor_reading reading = {0};
    PGconn *connection = connect_to(conninfo, &reading);
    if (!connection) return reading;
    size_t size = strlen(query) + 64;
    char *sql = malloc(size);
    snprintf(sql, size, "copy (%s) to stdout (format binary)", query);
    double start = now();
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) == PGRES_COPY_OUT) {
        char *row;
        for (int length; (length = PQgetCopyData(connection, &row, 0)) > 0;) {
            reading.rows++;
            reading.bytes += length;
            PQfreemem(row);
        }
        // The trailer comes as a row of its own.
        reading.rows--;
        PQclear(result);
        result = PQgetResult(connection);
    }
    reading.seconds = now() - start;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        snprintf(reading.error, sizeof reading.error, "%s", PQerrorMessage(connection));
    }
    PQclear(result);
    free(sql);
    PQfinish(connection);
    return reading;
}

floor_reading floor_single_rows(const char *conninfo, const char *query) {
    floor_reading reading = {0};
    PGconn *connection = connect_to(conninfo, &reading);
    if (!connection) return reading;
    double start = now();
    if (!PQsendQueryParams(connection, query, 0, NULL, NULL, NULL, NULL, 1) || !PQsetSingleRowMode(connection)) {
        snprintf(reading.error, sizeof reading.error, "%s", PQerrorMessage(connection));
    }
    for (PGresult *result; (result = PQgetResult(connection));) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_SINGLE_TUPLE) {
            reading.rows++;
            for (int column = 0; column < PQnfields(result); column++) reading.bytes += PQgetlength(result, 0, column);
        } else if (status != PGRES_TUPLES_OK) {
            snprintf(reading.error, sizeof reading.error, "%s", PQresultErrorMessage(result));
        }
        PQclear(result);
    }
    reading.seconds = now() - start;
    PQfinish(connection);
    return reading;
}
