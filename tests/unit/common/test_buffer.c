// Tests of the buffer: appended at the end, consumed from the front, in one allocation.
#include "common/buffer.h"

#include "common/util.h"
#include "tests/unit/suite.h"

enum { PAGE_OR_SO = 8192 }; // above this an emptied buffer gives its memory back

START_TEST(starts_empty_and_ends_empty) {
    struct buffer buffer = {0};
    ck_assert_uint_eq(buffer_size(&buffer), 0);
    ck_assert_int_eq(buffer_append(&buffer, NULL, 0), 0);
    ck_assert_uint_eq(buffer_size(&buffer), 0);
    ck_assert_int_eq(buffer_append(&buffer, "abc", 3), 0);
    buffer_done(&buffer);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer_size(&buffer), 0);
    buffer_done(&buffer);
}
END_TEST

START_TEST(bytes_come_out_in_order) {
    struct buffer buffer = {0};
    ck_assert_int_eq(buffer_append(&buffer, "hello ", 6), 0);
    ck_assert_int_eq(buffer_append(&buffer, "wo\0ld", 5), 0);
    ck_assert_uint_eq(buffer_size(&buffer), 11);
    ck_assert_mem_eq(buffer_head(&buffer), "hello wo\0ld", 11);
    buffer_consume(&buffer, 6);
    ck_assert_uint_eq(buffer_size(&buffer), 5);
    ck_assert_mem_eq(buffer_head(&buffer), "wo\0ld", 5);
    ck_assert_int_eq(buffer_append(&buffer, "!", 1), 0);
    ck_assert_mem_eq(buffer_head(&buffer), "wo\0ld!", 6);
    buffer_consume(&buffer, 6);
    ck_assert_uint_eq(buffer_size(&buffer), 0);
    buffer_done(&buffer);
}
END_TEST

START_TEST(reserve_changes_no_bytes_and_gives_room) {
    struct buffer buffer = {0};
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        ck_assert_int_eq(buffer_append(&buffer, "x", 1), 0);
        size_t before = buffer_size(&buffer);
        ck_assert_int_eq(buffer_reserve(&buffer, size), 0);
        ck_assert_uint_eq(buffer_size(&buffer), before);
        ck_assert_uint_ge(buffer.capacity - buffer.end, size);
        memset(buffer.data + buffer.end, 'y', size); // a sanitizer watches
    }
    for (size_t i = 0; i < buffer_size(&buffer); i++)
        ck_assert_int_eq(buffer_head(&buffer)[i], 'x');
    buffer_done(&buffer);
}
END_TEST

START_TEST(an_impossible_size_is_refused_and_changes_nothing) {
    struct buffer buffer = {0};
    ck_assert_int_eq(buffer_append(&buffer, "abc", 3), 0);
    struct buffer before = buffer;
    ck_assert_int_eq(buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
    ck_assert_int_eq(buffer_reserve(&buffer, SIZE_MAX / 2), -ENOMEM);
    ck_assert_int_eq(buffer_reserve(&buffer, SIZE_MAX - 1), -ENOMEM);
    ck_assert_mem_eq(&buffer, &before, sizeof(buffer));
    ck_assert_mem_eq(buffer_head(&buffer), "abc", 3);
    buffer_done(&buffer);
}
END_TEST

START_TEST(consumed_room_is_used_again) {
    struct buffer buffer = {0};
    char block[1000];
    memset(block, 'a', sizeof(block));
    ck_assert_int_eq(buffer_append(&buffer, block, sizeof(block)), 0);
    size_t capacity = buffer.capacity;
    for (int i = 0; i < 1000; i++) { // never more than a block and a bit in it
        buffer_consume(&buffer, 600);
        ck_assert_int_eq(buffer_append(&buffer, block, 600), 0);
    }
    ck_assert_uint_eq(buffer_size(&buffer), sizeof(block));
    ck_assert_uint_le(buffer.capacity, capacity * 2);
    buffer_done(&buffer);
}
END_TEST

START_TEST(a_large_emptied_buffer_gives_its_memory_back) {
    struct buffer buffer = {0};
    _cleanup_free_ char *large = calloc(4, PAGE_OR_SO);
    ck_assert_int_eq(buffer_append(&buffer, large, 4UL * PAGE_OR_SO), 0);
    buffer_consume(&buffer, PAGE_OR_SO * 4 - 1);
    ck_assert_ptr_nonnull(buffer.data);
    buffer_consume(&buffer, 1);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer.capacity, 0);
    ck_assert_int_eq(buffer_append(&buffer, "again", 5), 0);
    ck_assert_mem_eq(buffer_head(&buffer), "again", 5);
    buffer_consume(&buffer, 5);
    ck_assert_ptr_nonnull(buffer.data); // a small one stays
    buffer_done(&buffer);
}
END_TEST

// Against a model: what went in less what went out, over many sizes of both.
START_TEST(holds_what_a_model_holds) {
    struct buffer buffer = {0};
    unsigned seed = 7;
    unsigned char in = 0, out = 0;
    size_t size = 0;
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1103515245u + 12345u;
        size_t n = (seed >> 16) % ((seed >> 8) % 64 == 0 ? 20000 : 90);
        if ((seed >> 4) & 1) {
            ck_assert_int_eq(buffer_reserve(&buffer, n), 0);
            for (size_t i = 0; i < n; i++)
                buffer.data[buffer.end++] = (char)in++;
            size += n;
        } else if (size > 0) {
            n = MIN(n, size);
            size_t right = 0; // an assertion a byte is a message of libcheck's a byte
            while (right < n && (unsigned char)buffer_head(&buffer)[right] == out) {
                right++;
                out++;
            }
            ck_assert_uint_eq(right, n);
            buffer_consume(&buffer, n);
            size -= n;
        }
        ck_assert_uint_eq(buffer_size(&buffer), size);
    }
    buffer_done(&buffer);
}
END_TEST

// Into one that holds nothing the memory itself goes over.
START_TEST(all_of_another_is_moved) {
    struct buffer to = {0}, from = {0};
    ck_assert_int_eq(buffer_append(&from, "one ", 4), 0);
    const char *memory = from.data;
    ck_assert_int_eq(buffer_move(&to, &from), 0);
    ck_assert_ptr_eq(to.data, memory);
    ck_assert_ptr_null(from.data);
    ck_assert_int_eq(buffer_append(&from, ".two", 4), 0);
    buffer_consume(&from, 1);
    ck_assert_int_eq(buffer_move(&to, &from), 0);
    ck_assert_ptr_null(from.data);
    ck_assert_uint_eq(buffer_size(&to), 7);
    ck_assert_mem_eq(buffer_head(&to), "one two", 7);
    buffer_done(&to);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("buffer");
    TCase *all = suite_case(suite, "buffer", NULL, NULL);
    tcase_add_test(all, starts_empty_and_ends_empty);
    tcase_add_test(all, bytes_come_out_in_order);
    tcase_add_test(all, reserve_changes_no_bytes_and_gives_room);
    tcase_add_test(all, an_impossible_size_is_refused_and_changes_nothing);
    tcase_add_test(all, consumed_room_is_used_again);
    tcase_add_test(all, a_large_emptied_buffer_gives_its_memory_back);
    tcase_add_test(all, all_of_another_is_moved);
    tcase_add_test(all, holds_what_a_model_holds);
    return suite_run(suite);
}
