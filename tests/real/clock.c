/* Sets the clock of a process, and leaves its others: seconds in the file that CLOCK_FILE names are added to the time of day.

   Loaded with LD_PRELOAD; without headers, so that a compiler is all it takes. */
struct moment { long seconds, nanoseconds; };
extern void *dlsym(void *, const char *);
extern char *getenv(const char *);
extern int open(const char *, int, ...), close(int);
extern long read(int, void *, unsigned long);
extern long strtol(const char *, char **, int);

int clock_gettime(int which, struct moment *out)
{
    static int (*next)(int, struct moment *);
    char text[32] = {0}, *path = getenv("CLOCK_FILE");
    if (!next) next = (int (*)(int, struct moment *))dlsym((void *)-1L, "clock_gettime");
    int done = next(which, out);
    if (which || done || !path) return done;
    int file = open(path, 0);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0) out->seconds += strtol(text, 0, 10);
        close(file);
    }
    return done;
}
