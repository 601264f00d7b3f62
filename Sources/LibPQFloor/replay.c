#include "ReplayFloor.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PGconn *connect_to(const char *conninfo, floor_reading *reading) {
    PGconn *connection = open_connection(conninfo, reading->error, sizeof reading->error);
    if (!connection) return NULL;
    // The plan that gives a stream's rows in order soonest, whatever the table's statistics say.
    static const char *settings = "set enable_seqscan = off; set enable_bitmapscan = off; set enable_sort = off; "
                                  "set max_parallel_workers_per_gather = 0; set jit = off";
    if (run_command(connection, settings, reading->error, sizeof reading->error)) return connection;
    PQfinish(connection);
    return NULL;
}

floor_reading floor_copy(const char *conninfo, const char *query) {
    floor_reading reading = {0};
    PGconn *connection = connect_to(conninfo, &reading);
    if (!connection) return reading;
    size_t size = strlen(query) + 64;
    char *sql = malloc(size);
    if (!sql) {
        snprintf(reading.error, sizeof reading.error, "no memory");
        PQfinish(connection);
        return reading;
    }
    snprintf(sql, size, "copy (%s) to stdout (format binary)", query);
    double start = now();
    PGresult *result = execute(connection, sql);
    if (PQresultStatus(result) == PGRES_COPY_OUT) {
        char *row;
        for (int length; !floor_is_stopped() && (length = PQgetCopyData(connection, &row, 0)) > 0;) {
            reading.rows++;
            reading.bytes += length;
            PQfreemem(row);
        }
        // The trailer comes as a row of its own.
        reading.rows--;
        PQclear(result);
        // What is left of the rows, where it was stopped, goes with the connection.
        result = floor_is_stopped() ? NULL : PQgetResult(connection);
    }
    reading.seconds = now() - start;
    succeeded(connection, result, reading.error, sizeof reading.error);
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
    for (PGresult *result; !floor_is_stopped() && (result = PQgetResult(connection));) {
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
    if (floor_is_stopped()) snprintf(reading.error, sizeof reading.error, "stopped");
    PQfinish(connection);
    return reading;
}
