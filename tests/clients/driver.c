/* Reads `line TEXT` and `datagram HEX` from stdin, writes what the C client made of each as one line of JSON. */
#include "fkp_edge.h"

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++) printf((unsigned char)*text < 32 || *text == '"' || *text == '\\' ? "\\u%04x" : "%c", (unsigned char)*text);
    putchar('"');
}

static void print_measures(const struct fkp_face *face) {
    static const char *const names[] = {"eye_open_left", "eye_open_right", "mouth_open", "mouth_wide", "smile",
                                        "brow_raise_left", "brow_raise_right"};
    const char *before = ",\"measures\":{";
    int i;
    for (i = 0; i < FKP_MEASURES; i++)
        if (isfinite(face->measures[i])) printf("%s\"%s\":%.3f", before, names[i], face->measures[i]), before = ",";
    if (face->blinks >= 0) printf("%s\"blinks\":%lld", before, (long long)face->blinks), before = ",";
    if (face->blink_end_ns)
        printf("%s\"blink\":[%llu,%llu]", before, (unsigned long long)face->blink_start_ns,
               (unsigned long long)face->blink_end_ns);
    if (*before == ',' && !before[1]) printf("}");
}

static void print_face(const struct fkp_face *face) {
    int i;
    printf("{\"id\":%u,\"score\":%.3f,\"box\":[%.2f,%.2f,%.2f,%.2f],\"points\":[", face->id, face->score, face->box[0],
           face->box[1], face->box[2], face->box[3]);
    for (i = 0; i < face->point_count; i++)
        printf("%s[%.2f,%.2f]", i ? "," : "", face->points[i][0], face->points[i][1]);
    printf("]");
    if (isfinite(face->pose[0] + face->pose[1] + face->pose[2]))
        printf(",\"pose\":{\"yaw\":%.1f,\"pitch\":%.1f,\"roll\":%.1f}", face->pose[0], face->pose[1], face->pose[2]);
    if (face->held) printf(",\"held\":true");
    print_measures(face);
    if (isfinite(face->position[0] + face->position[1] + face->position[2]))
        printf(",\"position\":{\"x\":%.2f,\"y\":%.2f,\"z\":%.2f}", face->position[0], face->position[1], face->position[2]);
    printf("}");
}

static void print_message(const struct fkp_message *m) {
    static const char *const states[] = {"searching", "tracking", "held", "no_camera"};
    int i;
    if (m->type == FKP_HELLO) {
        printf("{\"type\":\"hello\",\"model\":\"%s\",\"source\":\"%s\",\"frame_size\":[%d,%d],\"server_ns\":%llu,\"points\":[",
               m->model, m->source, m->frame_width, m->frame_height, (unsigned long long)m->server_ns);
        for (i = 0; i < m->name_count; i++) printf("%s\"%s\"", i ? "," : "", m->names[i]);
        printf("]}\n");
    } else if (m->type == FKP_OBSERVATION) {
        printf("{\"type\":\"observation\",\"sequence\":%llu,\"captured_ns\":%llu,\"sent_ns\":%llu,\"state\":\"%s\",\"dropped\":%llu,"
               "\"faces\":[",
               (unsigned long long)m->sequence, (unsigned long long)m->captured_ns, (unsigned long long)m->sent_ns,
               states[m->state], (unsigned long long)m->dropped);
        for (i = 0; i < m->faces; i++) {
            if (i) putchar(',');
            print_face(&m->face[i]);
        }
        printf("]}\n");
    } else if (m->type == FKP_PONG) {
        printf("{\"type\":\"pong\",\"client_ns\":%llu,\"server_ns\":%llu}\n", (unsigned long long)m->client_ns,
               (unsigned long long)m->server_ns);
    } else {
        printf("{\"type\":\"error\",\"text\":");
        print_text(m->text);
        printf("}\n");
    }
}

int main(void) {
    static char input[4 * FKP_MAX_LINE];
    static struct fkp_message message;
    while (fgets(input, sizeof input, stdin)) {
        int code;
        if (!strncmp(input, "line ", 5)) {
            size_t size = strlen(input + 5);
            char *exact = (char *)malloc(size); /* so that a read past the end is found */
            memcpy(exact, input + 5, size);
            code = fkp_parse_line(exact, size, &message);
            free(exact);
        } else {
            size_t size = (strlen(input) - 10) / 2, i;
            unsigned char *data = (unsigned char *)malloc(size + 1);
            unsigned value;
            for (i = 0; i < size; i++) {
                sscanf(input + 9 + 2 * i, "%2x", &value);
                data[i] = (unsigned char)value;
            }
            data = (unsigned char *)realloc(data, size ? size : 1);
            code = fkp_parse_datagram(data, size, &message);
            free(data);
        }
        if (code == FKP_OK) print_message(&message);
        else printf("%d\n", code);
        fflush(stdout);
    }
    return 0;
}
