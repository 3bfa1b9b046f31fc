// Tests of UNIX sockets by path, in a directory of their own.
#include "common/unixsock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/util.h"
#include "tests/unit/suite.h"

static char directory[] = "/tmp/supd-unixsock-XXXXXX";
static char path[80];

static void setup(void) {
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/socket", directory);
}

static void teardown(void) {
    unlink(path);
    rmdir(directory);
}

static mode_t path_mode(void) {
    struct stat st;
    ck_assert_int_eq(lstat(path, &st), 0);
    return st.st_mode;
}

// The lowest free descriptor: the same before and after where none was left open.
static int lowest_free(void) {
    int fd = dup(STDIN_FILENO);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

START_TEST(listens_and_connects) {
    _cleanup_close_ int listener = unixsock_listen(path, 0600);
    ck_assert_int_ge(listener, 0);
    ck_assert(fcntl(listener, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_lt(accept(listener, NULL, NULL), 0);
    ck_assert_int_eq(errno, EAGAIN);
    _cleanup_close_ int client = unixsock_connect(path);
    ck_assert_int_ge(client, 0);
    ck_assert(!(fcntl(client, F_GETFL) & O_NONBLOCK));
    ck_assert(fcntl(client, F_GETFD) & FD_CLOEXEC);
    _cleanup_close_ int server = accept(listener, NULL, NULL);
    ck_assert_int_ge(server, 0);
    char c = 0;
    ck_assert_int_eq(write(client, "x", 1), 1);
    ck_assert_int_eq(read(server, &c, 1), 1);
    ck_assert_int_eq(c, 'x');
}
END_TEST

START_TEST(knows_its_peer) {
    _cleanup_close_ int listener = unixsock_listen(path, 0600);
    _cleanup_close_ int client = unixsock_connect(path);
    _cleanup_close_ int server = accept(listener, NULL, NULL);
    uid_t uid = (uid_t)-1;
    pid_t pid = -1;
    ck_assert_int_eq(unixsock_peer(server, &uid, &pid), 0);
    ck_assert_uint_eq(uid, geteuid());
    ck_assert_int_eq(pid, getpid());
}
END_TEST

START_TEST(no_socket_has_no_peer) {
    uid_t uid = 12345;
    pid_t pid = 54321;
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(unixsock_peer(null, &uid, &pid), -ENOTSOCK);
    ck_assert_int_eq(unixsock_peer(-1, &uid, &pid), -EBADF);
    ck_assert_uint_eq(uid, 12345);
    ck_assert_int_eq(pid, 54321);
}
END_TEST

START_TEST(the_mode_is_as_asked_whatever_the_umask) {
    const mode_t umasks[] = {0, 022, 0777}, modes[] = {0600, 0660, 0666};
    for (size_t i = 0; i < ARRAY_SIZE(umasks); i++)
        for (size_t j = 0; j < ARRAY_SIZE(modes); j++) {
            umask(umasks[i]);
            _cleanup_close_ int listener = unixsock_listen(path, modes[j]);
            ck_assert_int_ge(listener, 0);
            ck_assert_uint_eq(path_mode(), S_IFSOCK | modes[j]);
            unlink(path);
        }
}
END_TEST

START_TEST(a_dead_socket_is_replaced) {
    fd_close(unixsock_listen(path, 0600));
    ck_assert_int_eq(unixsock_connect(path), -ECONNREFUSED);
    _cleanup_close_ int listener = unixsock_listen(path, 0666);
    ck_assert_int_ge(listener, 0);
    ck_assert_uint_eq(path_mode(), S_IFSOCK | 0666);
    _cleanup_close_ int client = unixsock_connect(path);
    ck_assert_int_ge(client, 0);
}
END_TEST

START_TEST(a_live_socket_is_left_alone) {
    int free_before = lowest_free();
    {
        _cleanup_close_ int listener = unixsock_listen(path, 0600);
        ck_assert_int_eq(unixsock_listen(path, 0600), -EADDRINUSE);
        _cleanup_close_ int client = unixsock_connect(path);
        ck_assert_int_ge(client, 0);
    }
    ck_assert_int_eq(lowest_free(), free_before);
}
END_TEST

// Somebody listens, but takes none of those who wait: that is an answer too, and nobody waits for it.
START_TEST(a_busy_socket_is_left_alone) {
    _cleanup_close_ int listener = unixsock_listen(path, 0600);
    ck_assert_int_eq(listen(listener, 0), 0);
    int clients[8], count = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    for (bool full = false; !full && count < 8; count++) {
        clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        full = connect(clients[count], (struct sockaddr *)&address, sizeof(address)) < 0;
    }
    ck_assert_int_eq(unixsock_listen(path, 0600), -EADDRINUSE);
    while (count > 0)
        close(clients[--count]);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone) {
    fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    ck_assert_int_eq(unixsock_listen(path, 0600), -ENOTSOCK);
    ck_assert_uint_eq(path_mode(), S_IFREG | (path_mode() & 0777));
    ck_assert_int_eq(unixsock_connect(path), -ECONNREFUSED);
    unlink(path);
    ck_assert_int_eq(symlink("/nowhere/to/be/found", path), 0); // not followed, not removed
    ck_assert_int_eq(unixsock_listen(path, 0600), -ENOTSOCK);
    ck_assert(S_ISLNK(path_mode()));
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(unixsock_listen(path, 0600), -ENOTSOCK);
    rmdir(path);
}
END_TEST

START_TEST(failures_say_why_and_leave_nothing) {
    int free_before = lowest_free();
    char longer[200];
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[108] = 0; // one more than fits with its NUL
    ck_assert_int_eq(unixsock_listen(longer, 0600), -ENAMETOOLONG);
    ck_assert_int_eq(unixsock_connect(longer), -ENAMETOOLONG);
    ck_assert_int_eq(unixsock_connect(path), -ENOENT);
    ck_assert_int_eq(unixsock_listen("/nowhere/to/be/found/socket", 0600), -ENOENT);
    ck_assert_int_eq(unixsock_listen("/dev/null/socket", 0600), -ENOTDIR);
    ck_assert_int_eq(lowest_free(), free_before);
    ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

START_TEST(the_longest_path_works) {
    char longest[108];
    int n = snprintf(longest, sizeof(longest), "%s/", directory);
    memset(longest + n, 'x', sizeof(longest) - 1 - (size_t)n);
    longest[sizeof(longest) - 1] = 0;
    _cleanup_close_ int listener = unixsock_listen(longest, 0600);
    ck_assert_int_ge(listener, 0);
    _cleanup_close_ int client = unixsock_connect(longest);
    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(unlink(longest), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("unixsock");
    TCase *all = suite_case(suite, "unixsock", setup, teardown);
    tcase_add_test(all, listens_and_connects);
    tcase_add_test(all, knows_its_peer);
    tcase_add_test(all, no_socket_has_no_peer);
    tcase_add_test(all, the_mode_is_as_asked_whatever_the_umask);
    tcase_add_test(all, a_dead_socket_is_replaced);
    tcase_add_test(all, a_live_socket_is_left_alone);
    tcase_add_test(all, what_is_no_socket_is_left_alone);
    tcase_add_test(all, failures_say_why_and_leave_nothing);
    tcase_add_test(all, the_longest_path_works);
    TCase *busy = suite_case(suite, "busy", setup, teardown);
    tcase_set_timeout(busy, 5); // it hangs where it fails
    tcase_add_test(busy, a_busy_socket_is_left_alone);
    return suite_run(suite);
}
