// spool_host: the directory of byte logs and what they take in all. For spool.c.
#pragma once

#include <stdint.h>

#include "daemon/store/spool.h"

// A file that a log goes on with.
void spool_host_claim(struct spool_host *host, uint64_t file);
// A new file. Returns its descriptor and number, or a negative errno.
int spool_host_create(struct spool_host *host, uint64_t *ret_file);
int spool_host_open(struct spool_host *host, uint64_t file, int access); // O_RDWR or O_RDONLY
char *spool_host_file(const struct spool_host *host, uint64_t file);     // its path: the caller's
void spool_host_remove(struct spool_host *host, uint64_t file);

// Takes bytes of the cap and of the share, which may be NULL. Returns 0, -EDQUOT where the share has no more, or -ENOSPC.
int spool_host_reserve(struct spool_host *host, struct share *share, int64_t bytes);
// A file that others may have open: like spool_host_remove, unless they do. Then it goes on to be accounted: true.
bool spool_host_linger(struct spool_host *host, uint64_t file, struct share *share, int64_t bytes);
// Whether one more of the share's files may be given to others. 0 or -EUSERS: too many are left of those before.
int spool_host_may_share(struct spool_host *host, const struct share *share);
void spool_host_account(struct spool_host *host, struct share *share,
                        int64_t bytes);                        // without asking; negative gives back
void spool_host_count(struct spool_host *host, int64_t bytes); // read from a job
char *spool_host_scratch(struct spool_host *host);             // 64 KiB for bytes that nobody keeps
