/* Says of each socket towards a network that a program opens: a line in $SOCKETS. Preloaded into the program. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int socket(int domain, int type, int protocol)
{
    const char *to = getenv("SOCKETS");
    if (to != NULL && (domain == AF_INET || domain == AF_INET6)) {
        int log = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (log < 0 || write(log, "socket\n", 7) != 7)
            abort();
        close(log);
    }
    int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
    return real(domain, type, protocol);
}
