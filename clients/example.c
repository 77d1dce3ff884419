/* cc -O2 -o example example.c -lm && ./example 127.0.0.1 8765 [TOKEN]: prints the first point of the first face. */
#include "fkp_edge.h"

int main(int argc, char **argv) {
    static struct fkp_stream stream;
    static struct fkp_message message;
    int code = fkp_connect(&stream, argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? argv[2] : "8765", argc > 3 ? argv[3] : NULL);
    while (code == FKP_OK && (code = fkp_next(&stream, &message)) == FKP_OK) {
        if (message.type == FKP_HELLO) printf("model %s, %d points\n", message.model, message.name_count);
        if (message.type == FKP_REFUSED) printf("refused: %s\n", message.text);
        if (message.type == FKP_OBSERVATION && message.faces)
            printf("face %u at (%.1f, %.1f)\n", message.face[0].id, message.face[0].points[0][0], message.face[0].points[0][1]);
        fflush(stdout);
    }
    fprintf(stderr, "%s\n", fkp_error(code));
    fkp_close(&stream);
    return 1;
}
