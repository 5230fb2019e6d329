/* A file system without locks, as NFS is without its lock daemon: flock(2) fails below $NOLOCKS. Preloaded into the program. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int flock(int fd, int operation)
{
    char link[64], path[PATH_MAX];
    const char *below = getenv("NOLOCKS");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (below != NULL && length > 0) {
        path[length] = '\0';
        if (strncmp(path, below, strlen(below)) == 0) {
            errno = ENOLCK;
            return -1;
        }
    }
    int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    return real(fd, operation);
}
