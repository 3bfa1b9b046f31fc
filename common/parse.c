// Parsing with an allocator that stays empty.
#include "common/parse.h"

#include "common/util.h"

static __thread bool is_out; // of the parse under way: jansson asks its allocator without saying for whom

static void *parse_malloc(size_t size) {
    void *memory = is_out ? NULL : malloc(size);
    is_out = !memory;
    return memory;
}

json_t *parse_json(const char *text, size_t size, size_t flags, json_error_t *error, bool *ret_is_out) {
    json_malloc_t before;
    json_free_t release;
    is_out = false;
    json_get_alloc_funcs(&before, &release);
    json_set_alloc_funcs(parse_malloc, release);
    json_t *value = json_loadb(text, size, flags, error);
    json_set_alloc_funcs(before, release);
    if (ret_is_out)
        *ret_is_out = is_out;
    if (!is_out)
        return value;
    json_decref(value);
    return NULL;
}
