#include "Relay.h"
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

/// What was read at once. One without bytes stands for the end.
typedef struct chunk {
    struct chunk *next;
    double due;
    size_t length, sent;
    char bytes[];
} chunk;

/// One end of a connection, and what is to be sent to it.
typedef struct {
    int socket;
    chunk *first, *last;
    size_t waiting;
    /// It takes no more for now.
    int is_full;
    /// Nothing more is read from it.
    int has_ended;
} side;

typedef struct {
    side sides[2];
} connection;

enum { most_connections = 400, most_waiting = 4 << 20, most_at_once = 1 << 18 };

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

relay relay_open(void) {
    relay relay = {.listener = socket(AF_INET, SOCK_STREAM, 0)};
    // One that comes and goes at once must not keep `accept` waiting.
    fcntl(relay.listener, F_SETFL, O_NONBLOCK);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (relay.listener < 0 || bind(relay.listener, (struct sockaddr *)&address, size) != 0
        || listen(relay.listener, most_connections) != 0
        || getsockname(relay.listener, (struct sockaddr *)&address, &size) != 0) {
        snprintf(relay.error, sizeof relay.error, "a socket to listen on: %s", strerror(errno));
    }
    relay.port = ntohs(address.sin_port);
    return relay;
}

static void prepare(int socket) {
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
}

/// 0: there is no connection, and nothing is left of it.
static int open_both(int client, int server_port, connection *made) {
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(server_port);
    if (client < FD_SETSIZE && server >= 0 && server < FD_SETSIZE
        && connect(server, (struct sockaddr *)&address, sizeof address) == 0) {
        prepare(client);
        prepare(server);
        *made = (connection){{{.socket = client}, {.socket = server}}};
        return 1;
    }
    close(client);
    if (server >= 0) close(server);
    return 0;
}

static void drop_first(side *to) {
    chunk *first = to->first;
    to->first = first->next;
    if (!to->first) to->last = NULL;
    to->waiting -= first->length;
    free(first);
}

/// Sends what is due.
static void deliver(side *to, double time) {
    to->is_full = 0;
    while (to->first && to->first->due <= time) {
        chunk *first = to->first;
        if (first->length == 0) shutdown(to->socket, SHUT_WR);
        while (first->sent < first->length) {
            ssize_t count = send(to->socket, first->bytes + first->sent, first->length - first->sent, 0);
            if (count >= 0) {
                first->sent += (size_t)count;
            } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                to->is_full = 1;
                return;
            } else if (errno != EINTR) {
                // Gone: nobody misses the rest.
                break;
            }
        }
        drop_first(to);
    }
}

/// Reads what there is, for the other side. 0: there is no memory for it.
static int take(side *from, side *to, double delay) {
    static char bytes[most_at_once];
    ssize_t count = recv(from->socket, bytes, sizeof bytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 1;
    if (count <= 0) from->has_ended = 1;
    size_t length = count > 0 ? (size_t)count : 0;
    chunk *taken = malloc(sizeof *taken + length);
    if (!taken) return 0;
    *taken = (chunk){.due = now() + delay, .length = length};
    memcpy(taken->bytes, bytes, length);
    if (to->last) to->last->next = taken; else to->first = taken;
    to->last = taken;
    to->waiting += length;
    return 1;
}

static int is_over(const connection *connection) {
    const side *sides = connection->sides;
    return sides[0].has_ended && sides[1].has_ended && !sides[0].first && !sides[1].first;
}

const char *relay_run(int listener, int server_port, double delay) {
    static _Thread_local char error[512];
    static connection all[most_connections];
    int count = 0;
    error[0] = 0;
    signal(SIGPIPE, SIG_IGN);
    while (!floor_is_stopped()) {
        fd_set readable, writable;
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        FD_SET(STDIN_FILENO, &readable);
        FD_SET(listener, &readable);
        int highest = listener;
        double time = now(), next = -1;
        for (int i = 0; i < count; i++) {
            side *sides = all[i].sides;
            for (int s = 0; s < 2; s++) deliver(&sides[s], time);
            if (is_over(&all[i])) {
                for (int s = 0; s < 2; s++) close(sides[s].socket);
                all[i--] = all[--count];
                continue;
            }
            for (int s = 0; s < 2; s++) {
                if (sides[s].socket > highest) highest = sides[s].socket;
                if (!sides[s].has_ended && sides[1 - s].waiting < most_waiting) FD_SET(sides[s].socket, &readable);
                if (sides[s].is_full) FD_SET(sides[s].socket, &writable);
                else if (sides[s].first && (next < 0 || sides[s].first->due < next)) next = sides[s].first->due;
            }
        }
        struct timespec left = {0, 0};
        if (next > time) {
            left.tv_sec = (time_t)(next - time);
            left.tv_nsec = (long)((next - time - (double)left.tv_sec) * 1e9);
        }
        if (pselect(highest + 1, &readable, &writable, NULL, next < 0 ? NULL : &left, NULL) < 0) {
            if (errno == EINTR) continue;
            snprintf(error, sizeof error, "waiting for what is to be handed on: %s", strerror(errno));
            break;
        }
        if (FD_ISSET(STDIN_FILENO, &readable)) break;
        for (int i = 0; i < count; i++) {
            side *sides = all[i].sides;
            for (int s = 0; s < 2; s++) {
                if (!FD_ISSET(sides[s].socket, &readable)) continue;
                if (take(&sides[s], &sides[1 - s], delay)) continue;
                snprintf(error, sizeof error, "no memory");
                return error;
            }
        }
        int client = FD_ISSET(listener, &readable) ? accept(listener, NULL, NULL) : -1;
        if (client < 0) continue;
        if (count == most_connections) close(client);
        else if (open_both(client, server_port, &all[count])) count++;
    }
    return error;
}
