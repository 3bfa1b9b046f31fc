// closer: what could not be closed for want of a process is, once there is one.
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "common/closing.h"
#include "common/util.h"
#include "daemon/os/closer.h"
#include "tests/unit/suite.h"

enum { USER = 12345 };

static const struct closing_host *host;
static int refusals, refused; // clones that fail; that have

void __wrap_closing_set_host(const struct closing_host *set);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

void __wrap_closing_set_host(const struct closing_host *set) {
    host = set;
}

__attribute__((no_sanitize("address", "undefined", "thread"))) long __wrap_syscall(long number, ...) {
    va_list args;
    long a[6];
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_clone && refused < refusals) {
        refused++;
        errno = EAGAIN;
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

START_TEST(one_that_found_no_process_is_closed_by_a_later_one) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct closer *closer;
    ck_assert_int_eq(closer_new(loop, &closer), 0);
    refusals = _i;
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ck_assert(host->close(fds[i], USER, host->data));
    }
    ev_run(loop, 0); // to the end of whatever it waits for
    ck_assert_int_eq(refused, _i);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(fcntl(fds[i], F_GETFD), -1);
    closer_free(closer);
    ck_assert_ptr_null(host);
    ev_loop_destroy(loop);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/closer");
    TCase *group = suite_case(suite, "closer", NULL, NULL);
    tcase_add_loop_test(group, one_that_found_no_process_is_closed_by_a_later_one, 0, 4);
    return suite_run(suite);
}
