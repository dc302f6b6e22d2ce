/* Counts the system calls that change files, of all threads, and kills the process just before one of them.

   Loaded with LD_PRELOAD; without headers, so that a compiler is all it takes. */
extern void *dlsym(void *, const char *);
extern int kill(int, int), getpid(void);

static long target = -1, calls;

/* From now on count; before the call of this number (from 1; 0 for never) the process is killed. */
void crash_before(long number) { calls = 0; target = number; }
long crash_calls(void) { return calls; }

static void step(void)
{
    if (target >= 0 && __sync_add_and_fetch(&calls, 1) == target)
        for (;;) kill(getpid(), 9);
}

#define WRAP(name) \
    long name(long a, long b, long c, long d, long e, long f) \
    { \
        static long (*next)(long, long, long, long, long, long); \
        if (!next) next = (long (*)(long, long, long, long, long, long))dlsym((void *)-1L, #name); \
        step(); \
        return next(a, b, c, d, e, f); \
    }
/* Opening counts where it makes or changes a file: O_WRONLY, O_RDWR, O_CREAT. */
#define WRAP_OPEN(name, flags) \
    int name(long a, long b, long c, long d) \
    { \
        static int (*next)(long, long, long, long); \
        if (!next) next = (int (*)(long, long, long, long))dlsym((void *)-1L, #name); \
        if ((flags) & 0103) step(); \
        return next(a, b, c, d); \
    }
WRAP_OPEN(open, b) WRAP_OPEN(open64, b) WRAP_OPEN(openat, c) WRAP_OPEN(openat64, c)
#define WRAP_INT(name) \
    int name(long a, long b, long c, long d, long e, long f) \
    { \
        static int (*next)(long, long, long, long, long, long); \
        if (!next) next = (int (*)(long, long, long, long, long, long))dlsym((void *)-1L, #name); \
        step(); \
        return next(a, b, c, d, e, f); \
    }
WRAP(write) WRAP(pwrite) WRAP(pwrite64) WRAP(writev) WRAP(pwritev) WRAP(pwritev64) WRAP(sendfile) WRAP(sendfile64)
WRAP(copy_file_range) WRAP(splice)
WRAP_INT(rename) WRAP_INT(renameat) WRAP_INT(renameat2) WRAP_INT(link) WRAP_INT(linkat) WRAP_INT(unlink) WRAP_INT(unlinkat)
WRAP_INT(rmdir) WRAP_INT(mkdir) WRAP_INT(mkdirat) WRAP_INT(chmod) WRAP_INT(fchmod) WRAP_INT(fchmodat) WRAP_INT(fsync)
WRAP_INT(fdatasync) WRAP_INT(ftruncate) WRAP_INT(ftruncate64) WRAP_INT(utimensat) WRAP_INT(futimens) WRAP_INT(fallocate)
