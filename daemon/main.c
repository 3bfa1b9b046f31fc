// supd: the daemon.
#include <stdio.h>
#include <sys/resource.h>

#include "common/message.h"
#include "common/openrpc.h"
#include "daemon/options.h"
#include "daemon/version.h"
#include "daemon/worker.h"

static int describe(void) {
    json_t *document = openrpc_document(SUPD_VERSION);
    int r = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;
    json_decref(document);
    return r < 0 || puts("") < 0 ? 1 : 0;
}

int main(int argc, char **argv) {
    struct options options;
    int r = options_parse(argc, argv, &options);
    int status = r < 0 ? 2 : 0;
    if (r == 0)
        status = options.describe ? describe() : worker_run(&options);
    options_done(&options);
    return status;
}
