/* fkp-edge, stream version 1, in one C99 file without dependencies: include it, in one C or C++ file.
 *
 *     struct fkp_stream stream;
 *     struct fkp_message message;
 *     if (fkp_connect(&stream, "127.0.0.1", "8765", NULL) == 0)
 *         while (fkp_next(&stream, &message) == 0)
 *             if (message.type == FKP_OBSERVATION && message.faces > 0)
 *                 printf("%f %f\n", message.face[0].points[10][0], message.face[0].points[10][1]);
 *
 * Every function gives 0, or a negative code that fkp_error() puts into words. Nothing is allocated. On boards without
 * BSD sockets define FKP_NO_SOCKETS before including it and hand datagrams to fkp_parse_datagram.
 */
#ifndef FKP_EDGE_H
#define FKP_EDGE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef FKP_MAX_POINTS
#define FKP_MAX_POINTS 68
#endif
#ifndef FKP_MAX_FACES
#define FKP_MAX_FACES 4 /* more are left out */
#endif
#ifndef FKP_TEXT
#define FKP_TEXT 64 /* bytes of a text with its end; longer ones are cut */
#endif
#define FKP_MAX_LINE 65536 /* bytes of a line with its newline */

enum fkp_type { FKP_HELLO, FKP_OBSERVATION, FKP_PONG, FKP_REFUSED };
enum fkp_state { FKP_SEARCHING, FKP_TRACKING, FKP_HELD, FKP_NO_CAMERA };
enum fkp_code { FKP_OK = 0, FKP_E_FORMAT = -1, FKP_E_VERSION = -2, FKP_E_LOST = -3, FKP_E_HOST = -4 };

enum fkp_measure {
    FKP_EYE_OPEN_LEFT,  /* the subject's left: 0 shut, 1 as open as is usual for this person */
    FKP_EYE_OPEN_RIGHT,
    FKP_MOUTH_OPEN,     /* in distances between the pupils */
    FKP_MOUTH_WIDE,
    FKP_SMILE,          /* 0 to 1 */
    FKP_BROW_RAISE_LEFT, /* 1 as is usual for this person */
    FKP_BROW_RAISE_RIGHT,
    FKP_MEASURES
};

struct fkp_face {
    uint32_t id;
    float score;                     /* 0 to 1 */
    float box[4];                    /* x, y, width, height in frame pixels */
    float pose[3];                   /* yaw, pitch, roll in degrees; NAN where the device does not know them */
    int point_count;
    float points[FKP_MAX_POINTS][2]; /* x, y in frame pixels */
    int held;                        /* 1: not seen in this frame but a moment ago, its last points repeated */
    /* where the device runs with --measures; NAN where it does not, or where the face does not tell */
    float measures[FKP_MEASURES];    /* such as measures[FKP_SMILE] */
    float position[3];               /* x right, y down, z away from the camera: cm */
    int64_t blinks;                  /* -1 where they are not known */
    uint64_t blink_start_ns, blink_end_ns; /* the last one, on the device's monotonic clock; 0 before any */
};

struct fkp_message {
    enum fkp_type type;
    /* hello */
    int frame_width, frame_height; /* 0 until the device knows them */
    int name_count;
    char names[FKP_MAX_POINTS][FKP_TEXT];
    char model[FKP_TEXT], source[FKP_TEXT];
    /* observation; captured_ns and sent_ns are of the device's monotonic clock */
    uint64_t sequence, captured_ns, sent_ns, dropped;
    enum fkp_state state;
    int faces;
    struct fkp_face face[FKP_MAX_FACES];
    /* pong, and server_ns of a hello */
    uint64_t client_ns, server_ns;
    /* refused: why, for people */
    char text[4 * FKP_TEXT];
};

static inline const char *fkp_error(int code) {
    switch (code) {
    case FKP_OK: return "no error";
    case FKP_E_FORMAT: return "what came is no message of fkp-edge";
    case FKP_E_VERSION: return "the device speaks another version of the protocol; this file speaks 1";
    case FKP_E_LOST: return "the connection is lost; connect again";
    case FKP_E_HOST: return "nothing answers there; is fkp-edge running?";
    default: return "unknown code";
    }
}

/* ---- JSON: only what the protocol needs, bounded in depth, never past the end ---- */

struct fkp_reader {
    const char *at, *end;
    int failed;
};

static void fkp_space(struct fkp_reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n')) r->at++;
}

static int fkp_take(struct fkp_reader *r, char c) {
    fkp_space(r);
    if (r->failed || r->at >= r->end || *r->at != c) return 0;
    r->at++;
    return 1;
}

static void fkp_expect(struct fkp_reader *r, char c) {
    if (!fkp_take(r, c)) r->failed = 1;
}

/* A string into `out`, cut to `size`; escapes of characters beyond ASCII become '?'. */
static void fkp_string(struct fkp_reader *r, char *out, size_t size) {
    size_t used = 0;
    fkp_expect(r, '"');
    while (!r->failed && r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c == '\\') {
            const char *codes = "\"\\/bfnrt", *plain = "\"\\/\b\f\n\r\t", *found;
            if (r->at >= r->end) break;
            c = *r->at++;
            if (c == 'u') {
                if (r->end - r->at < 4) break;
                r->at += 4;
                c = '?';
            } else {
                found = c ? strchr(codes, c) : NULL;
                if (!found) r->failed = 1;
                else c = plain[found - codes];
            }
        }
        if (used + 1 < size) out[used++] = c;
    }
    if (size) out[used] = 0;
    fkp_expect(r, '"');
}

static double fkp_number(struct fkp_reader *r, uint64_t *whole) {
    char digits[40];
    size_t used = 0;
    char *end;
    double value;
    fkp_space(r);
    while (r->at < r->end && used + 1 < sizeof digits && *r->at && strchr("+-.0123456789eE", *r->at))
        digits[used++] = *r->at++;
    digits[used] = 0;
    value = strtod(digits, &end);
    if (used == 0 || *end || !isfinite(value)) r->failed = 1;
    if (whole) {
        if (strspn(digits, "0123456789") != used) r->failed = 1;
        *whole = strtoull(digits, NULL, 10);
    }
    return value;
}

static void fkp_skip(struct fkp_reader *r, int depth) {
    char ignored[1];
    fkp_space(r);
    if (r->failed || depth > 32 || r->at >= r->end) {
        r->failed = 1;
    } else if (*r->at == '"') {
        fkp_string(r, ignored, sizeof ignored);
    } else if (*r->at == '[' || *r->at == '{') {
        int is_object = *r->at++ == '{';
        char close = is_object ? '}' : ']';
        if (fkp_take(r, close)) return;
        do {
            if (is_object) {
                fkp_string(r, ignored, sizeof ignored);
                fkp_expect(r, ':');
            }
            fkp_skip(r, depth + 1);
        } while (fkp_take(r, ','));
        fkp_expect(r, close);
    } else {
        const char *start = r->at;
        while (r->at < r->end && *r->at && !strchr(",]} \t\r\n", *r->at)) r->at++;
        if (r->at == start) r->failed = 1;
    }
}

static int fkp_null(struct fkp_reader *r) {
    fkp_space(r);
    if (r->end - r->at < 4 || memcmp(r->at, "null", 4)) return 0;
    r->at += 4;
    return 1;
}

static int fkp_true(struct fkp_reader *r) {
    fkp_space(r);
    if (r->end - r->at >= 4 && !memcmp(r->at, "true", 4)) return r->at += 4, 1;
    fkp_skip(r, 0);
    return 0;
}

/* Calls for each member of an object: `key` is its name, the value must be taken. */
typedef void (*fkp_member)(struct fkp_reader *r, const char *key, void *target);

static void fkp_object(struct fkp_reader *r, fkp_member member, void *target) {
    char key[FKP_TEXT];
    fkp_expect(r, '{');
    if (fkp_take(r, '}')) return;
    do {
        fkp_string(r, key, sizeof key);
        fkp_expect(r, ':');
        if (!r->failed) member(r, key, target);
    } while (fkp_take(r, ','));
    fkp_expect(r, '}');
}

static int fkp_floats(struct fkp_reader *r, float *out, int most) {
    int count = 0;
    fkp_expect(r, '[');
    if (fkp_take(r, ']')) return 0;
    do {
        float value = (float)fkp_number(r, NULL);
        if (count < most) out[count++] = value;
    } while (fkp_take(r, ','));
    fkp_expect(r, ']');
    return count;
}

static void fkp_pose_member(struct fkp_reader *r, const char *key, void *target) {
    float *pose = (float *)target;
    if (!strcmp(key, "yaw")) pose[0] = (float)fkp_number(r, NULL);
    else if (!strcmp(key, "pitch")) pose[1] = (float)fkp_number(r, NULL);
    else if (!strcmp(key, "roll")) pose[2] = (float)fkp_number(r, NULL);
    else fkp_skip(r, 0);
}

static int fkp_one_of(const char *text, const char *const *names, int count) {
    int i;
    for (i = 0; i < count; i++)
        if (!strcmp(text, names[i])) return i;
    return -1;
}

static void fkp_position_member(struct fkp_reader *r, const char *key, void *target) {
    static const char *const axes[] = {"x", "y", "z"};
    int axis = fkp_one_of(key, axes, 3);
    if (axis < 0) fkp_skip(r, 0);
    else ((float *)target)[axis] = (float)fkp_number(r, NULL);
}

static void fkp_measures_member(struct fkp_reader *r, const char *key, void *target) {
    static const char *const names[] = {"eye_open_left", "eye_open_right", "mouth_open", "mouth_wide", "smile",
                                        "brow_raise_left", "brow_raise_right"};
    struct fkp_face *face = (struct fkp_face *)target;
    int measure = fkp_one_of(key, names, FKP_MEASURES);
    uint64_t whole;
    if (fkp_null(r)) return;
    if (measure >= 0) face->measures[measure] = (float)fkp_number(r, NULL);
    else if (!strcmp(key, "blinks")) {
        fkp_number(r, &whole);
        face->blinks = (int64_t)whole;
    } else if (!strcmp(key, "blink")) {
        fkp_expect(r, '[');
        fkp_number(r, &face->blink_start_ns);
        fkp_expect(r, ',');
        fkp_number(r, &face->blink_end_ns);
        fkp_expect(r, ']');
    } else fkp_skip(r, 0);
}

static void fkp_points(struct fkp_reader *r, struct fkp_face *face) {
    float ignored[2];
    face->point_count = 0;
    fkp_expect(r, '[');
    if (fkp_take(r, ']')) return;
    do {
        int kept = face->point_count < FKP_MAX_POINTS;
        if (fkp_floats(r, kept ? face->points[face->point_count] : ignored, 2) != 2) r->failed = 1;
        if (kept) face->point_count++;
    } while (!r->failed && fkp_take(r, ','));
    fkp_expect(r, ']');
}

static void fkp_face_member(struct fkp_reader *r, const char *key, void *target) {
    struct fkp_face *face = (struct fkp_face *)target;
    uint64_t id;
    if (!strcmp(key, "id")) {
        fkp_number(r, &id);
        face->id = (uint32_t)id;
    } else if (!strcmp(key, "score")) face->score = (float)fkp_number(r, NULL);
    else if (!strcmp(key, "box")) {
        if (fkp_floats(r, face->box, 4) != 4) r->failed = 1;
    } else if (!strcmp(key, "points")) fkp_points(r, face);
    else if (!strcmp(key, "held")) face->held = fkp_true(r);
    else if (fkp_null(r)) return;
    else if (!strcmp(key, "pose")) fkp_object(r, fkp_pose_member, face->pose);
    else if (!strcmp(key, "measures")) fkp_object(r, fkp_measures_member, face);
    else if (!strcmp(key, "position")) fkp_object(r, fkp_position_member, face->position);
    else fkp_skip(r, 0);
}

/* Nothing is known of a face yet. */
static void fkp_forget(struct fkp_face *face) {
    int i;
    memset(face, 0, sizeof *face);
    for (i = 0; i < 3; i++) face->pose[i] = face->position[i] = NAN;
    for (i = 0; i < FKP_MEASURES; i++) face->measures[i] = NAN;
    face->blinks = -1;
}

static void fkp_faces(struct fkp_reader *r, struct fkp_message *m) {
    m->faces = 0;
    fkp_expect(r, '[');
    if (fkp_take(r, ']')) return;
    do {
        if (m->faces == FKP_MAX_FACES) {
            fkp_skip(r, 0);
        } else {
            struct fkp_face *face = &m->face[m->faces++];
            fkp_forget(face);
            fkp_object(r, fkp_face_member, face);
        }
    } while (!r->failed && fkp_take(r, ','));
    fkp_expect(r, ']');
}

static void fkp_names(struct fkp_reader *r, struct fkp_message *m) {
    char ignored[1];
    m->name_count = 0;
    fkp_expect(r, '[');
    if (fkp_take(r, ']')) return;
    do {
        if (m->name_count == FKP_MAX_POINTS) fkp_string(r, ignored, sizeof ignored);
        else fkp_string(r, m->names[m->name_count++], FKP_TEXT);
    } while (!r->failed && fkp_take(r, ','));
    fkp_expect(r, ']');
}

struct fkp_parsing {
    struct fkp_message *message;
    int type, state;
    uint64_t protocol;
};

static void fkp_message_member(struct fkp_reader *r, const char *key, void *target) {
    static const char *const types[] = {"hello", "observation", "pong", "error"};
    static const char *const states[] = {"searching", "tracking", "held", "no_camera"};
    struct fkp_parsing *parsing = (struct fkp_parsing *)target;
    struct fkp_message *m = parsing->message;
    char word[FKP_TEXT];
    float size[2];
    if (!strcmp(key, "type") || !strcmp(key, "state")) {
        fkp_string(r, word, sizeof word);
        if (*key == 't') parsing->type = fkp_one_of(word, types, 4);
        else parsing->state = fkp_one_of(word, states, 4);
    } else if (!strcmp(key, "protocol")) fkp_number(r, &parsing->protocol);
    else if (!strcmp(key, "model")) fkp_string(r, m->model, FKP_TEXT);
    else if (!strcmp(key, "source")) fkp_string(r, m->source, FKP_TEXT);
    else if (!strcmp(key, "text")) fkp_string(r, m->text, sizeof m->text);
    else if (!strcmp(key, "points")) fkp_names(r, m);
    else if (!strcmp(key, "faces")) fkp_faces(r, m);
    else if (!strcmp(key, "sequence")) fkp_number(r, &m->sequence);
    else if (!strcmp(key, "captured_ns")) fkp_number(r, &m->captured_ns);
    else if (!strcmp(key, "sent_ns")) fkp_number(r, &m->sent_ns);
    else if (!strcmp(key, "dropped")) fkp_number(r, &m->dropped);
    else if (!strcmp(key, "client_ns")) fkp_number(r, &m->client_ns);
    else if (!strcmp(key, "server_ns")) fkp_number(r, &m->server_ns);
    else if (!strcmp(key, "frame_size") && !fkp_null(r)) {
        if (fkp_floats(r, size, 2) != 2 || !(size[0] >= 0 && size[0] <= 65536 && size[1] >= 0 && size[1] <= 65536))
            r->failed = 1;
        else m->frame_width = (int)size[0], m->frame_height = (int)size[1];
    } else if (strcmp(key, "frame_size")) fkp_skip(r, 0);
}

/* One line of the server, with or without its newline. */
static inline int fkp_parse_line(const char *line, size_t size, struct fkp_message *message) {
    struct fkp_reader r;
    struct fkp_parsing parsing;
    r.at = line, r.end = line + size, r.failed = 0;
    parsing.message = message, parsing.type = parsing.state = -1, parsing.protocol = 0;
    memset(message, 0, sizeof *message);
    fkp_object(&r, fkp_message_member, &parsing);
    fkp_space(&r);
    if (r.failed || r.at != r.end || parsing.type < 0) return FKP_E_FORMAT;
    message->type = (enum fkp_type)parsing.type;
    if (message->type == FKP_HELLO && parsing.protocol != 1) return FKP_E_VERSION;
    if (message->type == FKP_OBSERVATION) {
        if (parsing.state < 0) return FKP_E_FORMAT;
        message->state = (enum fkp_state)parsing.state;
    }
    return FKP_OK;
}

/* ---- datagrams ---- */

static uint64_t fkp_le(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    while (bytes--) value = value << 8 | at[bytes];
    return value;
}

static float fkp_le_float(const unsigned char *at) {
    uint32_t bits = (uint32_t)fkp_le(at, 4);
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static int fkp_finite(const struct fkp_face *face) {
    float sum = 0 * face->score;
    int i;
    for (i = 0; i < 4; i++) sum += 0 * face->box[i];
    for (i = 0; i < face->point_count; i++) sum += 0 * face->points[i][0] + 0 * face->points[i][1];
    return isfinite(sum); /* 0 times what is not finite is not a number */
}

/* One datagram: a hello or an observation. */
static inline int fkp_parse_datagram(const void *datagram, size_t size, struct fkp_message *message) {
    const unsigned char *data = (const unsigned char *)datagram;
    size_t face_bytes, points, faces, i, j;
    if (size < 8 || memcmp(data, "FKPE", 4)) return FKP_E_FORMAT;
    if (data[4] != 1) return FKP_E_VERSION;
    if (fkp_le(data + 6, 2) != size) return FKP_E_FORMAT;
    if (data[5] == 0) {
        int code = fkp_parse_line((const char *)data + 8, size - 8, message);
        return code == FKP_OK && message->type != FKP_HELLO ? FKP_E_FORMAT : code;
    }
    if (data[5] != 1 || size < 44 || data[36] > FKP_NO_CAMERA) return FKP_E_FORMAT;
    memset(message, 0, sizeof *message);
    message->type = FKP_OBSERVATION;
    message->sequence = fkp_le(data + 8, 8);
    message->captured_ns = fkp_le(data + 16, 8);
    message->sent_ns = fkp_le(data + 24, 8);
    message->dropped = fkp_le(data + 32, 4);
    message->state = (enum fkp_state)data[36];
    faces = data[37], face_bytes = (size_t)fkp_le(data + 38, 2), points = (size_t)fkp_le(data + 40, 2);
    if (faces && (face_bytes < 36 + 8 * points || size < 44 + faces * face_bytes)) return FKP_E_FORMAT;
    for (i = 0; i < faces && i < FKP_MAX_FACES; i++) {
        const unsigned char *at = data + 44 + i * face_bytes;
        struct fkp_face *face = &message->face[message->faces++];
        unsigned flags = 0;
        fkp_forget(face);
        face->id = (uint32_t)fkp_le(at, 4);
        face->score = fkp_le_float(at + 4);
        for (j = 0; j < 4; j++) face->box[j] = fkp_le_float(at + 8 + 4 * j);
        for (j = 0; j < 3; j++) face->pose[j] = fkp_le_float(at + 24 + 4 * j);
        for (j = 0; j < points && j < FKP_MAX_POINTS; j++) {
            face->points[j][0] = fkp_le_float(at + 36 + 8 * j);
            face->points[j][1] = fkp_le_float(at + 40 + 8 * j);
        }
        face->point_count = (int)j;
        at += 36 + 8 * points;
        if (face_bytes >= 40 + 8 * points) flags = (unsigned)fkp_le(at, 4);
        face->held = (int)(flags & 1);
        if (face_bytes >= 100 + 8 * points && flags & 2) {
            uint64_t blinks = fkp_le(at + 32, 4);
            for (j = 0; j < FKP_MEASURES; j++) face->measures[j] = fkp_le_float(at + 4 + 4 * j);
            face->blinks = blinks == 0xffffffff ? -1 : (int64_t)blinks;
            face->blink_start_ns = fkp_le(at + 36, 8), face->blink_end_ns = fkp_le(at + 44, 8);
        }
        if (face_bytes >= 100 + 8 * points && flags & 4)
            for (j = 0; j < 3; j++) face->position[j] = fkp_le_float(at + 52 + 4 * j);
        if (!fkp_finite(face)) return FKP_E_FORMAT;
    }
    return FKP_OK;
}

#ifndef FKP_NO_SOCKETS
/* ---- the TCP stream ---- */

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef MSG_NOSIGNAL
#define FKP_NO_SIGNAL MSG_NOSIGNAL /* a server that is gone must not end the program with SIGPIPE */
#else
#define FKP_NO_SIGNAL 0 /* macOS has an option of the socket instead */
#endif

struct fkp_stream {
    int socket;
    size_t used, taken;
    char bytes[FKP_MAX_LINE];
};

static inline void fkp_close(struct fkp_stream *stream) {
    if (stream->socket >= 0) close(stream->socket);
    stream->socket = -1;
}

/* Connects; `token` is what the device's --token-file holds, or NULL: a server that asks for one says so. Blocks. */
static inline int fkp_connect(struct fkp_stream *stream, const char *host, const char *port, const char *token) {
    struct addrinfo wanted, *found, *place;
    char line[300];
    int size, small = 16384;
#ifdef SO_NOSIGPIPE
    int on = 1;
#endif
    stream->socket = -1, stream->used = stream->taken = 0;
    memset(&wanted, 0, sizeof wanted);
    wanted.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &wanted, &found)) return FKP_E_HOST;
    for (place = found; place && stream->socket < 0; place = place->ai_next) {
        stream->socket = socket(place->ai_family, place->ai_socktype, place->ai_protocol);
        if (stream->socket < 0) continue;
        /* a program that sleeps then finds little that is stale */
        setsockopt(stream->socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
#ifdef SO_NOSIGPIPE
        setsockopt(stream->socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
        if (connect(stream->socket, place->ai_addr, place->ai_addrlen)) fkp_close(stream);
    }
    freeaddrinfo(found);
    if (stream->socket < 0) return FKP_E_HOST;
    size = snprintf(line, sizeof line, "{\"type\":\"auth\",\"token\":\"%s\"}\n", token ? token : "");
    if (size >= (int)sizeof line || send(stream->socket, line, (size_t)size, FKP_NO_SIGNAL) != size) {
        fkp_close(stream);
        return FKP_E_LOST;
    }
    return FKP_OK;
}

/* The next message; blocks until it has come. After an error the stream is closed. */
static inline int fkp_next(struct fkp_stream *stream, struct fkp_message *message) {
    for (;;) {
        char *start = stream->bytes + stream->taken;
        char *end = (char *)memchr(start, '\n', stream->used - stream->taken);
        ssize_t got;
        if (end) {
            int code = fkp_parse_line(start, (size_t)(end - start), message);
            stream->taken = (size_t)(end - stream->bytes) + 1;
            if (code != FKP_OK) fkp_close(stream);
            return code;
        }
        stream->used -= stream->taken;
        memmove(stream->bytes, start, stream->used);
        stream->taken = 0;
        if (stream->used == FKP_MAX_LINE) {
            fkp_close(stream);
            return FKP_E_FORMAT;
        }
        got = stream->socket < 0 ? 0 : recv(stream->socket, stream->bytes + stream->used, FKP_MAX_LINE - stream->used, 0);
        if (got <= 0) {
            fkp_close(stream);
            return FKP_E_LOST;
        }
        stream->used += (size_t)got;
    }
}
#endif /* FKP_NO_SOCKETS */
#endif /* FKP_EDGE_H */
