/* Ends the process at its Nth change below a directory, as a kill would: the call is not made, and of what was to be
 * written half is. Counts the changes where it is not told where to end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *below;
static long at, made;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
  const char *number = getenv("ZOO_CRASH_AT");
  below = getenv("ZOO_CRASH_BELOW");
  at = number ? atol(number) : 0;
}

__attribute__((destructor)) static void tell(void) {
  const char *path = getenv("ZOO_CRASH_COUNT");
  FILE *file = path && below ? fopen(path, "w") : NULL;
  if (file) {
    fprintf(file, "%ld\n", made);
    fclose(file);
  }
}

static int within(const char *path) {
  size_t length = below ? strlen(below) : 0;
  return length && !strncmp(path, below, length) && (!path[length] || path[length] == '/');
}

static int name_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
  return length > 0;
}

/* Whether this change is the one to end at. */
static int is_last(void) { return __atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST) == at; }

static int fd_ends(int fd) {
  char path[PATH_MAX];
  return fd > 2 && below && name_of(fd, path) && within(path) && is_last();
}

static void path_ends(int dir, const char *name) {
  char path[2 * PATH_MAX + 2];
  if (!below) return;
  if (name[0] == '/') {
    snprintf(path, sizeof path, "%s", name);
  } else {
    char base[PATH_MAX];
    if (dir == AT_FDCWD ? !getcwd(base, sizeof base) : !name_of(dir, base)) return;
    snprintf(path, sizeof path, "%s/%s", base, name);
  }
  if (within(path) && is_last()) _exit(137);
}

#define OPEN(name)                                                                                                     \
  int name(const char *path, int flags, ...) {                                                                         \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = va_arg(rest, mode_t);                                                                                \
    va_end(rest);                                                                                                      \
    if (flags & O_CREAT) path_ends(AT_FDCWD, path);                                                                    \
    return REAL(name)(path, flags, mode);                                                                              \
  }
OPEN(open)
OPEN(open64)

#define OPEN_AT(name)                                                                                                  \
  int name(int dir, const char *path, int flags, ...) {                                                                \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = va_arg(rest, mode_t);                                                                                \
    va_end(rest);                                                                                                      \
    if (flags & O_CREAT) path_ends(dir, path);                                                                         \
    return REAL(name)(dir, path, flags, mode);                                                                         \
  }
OPEN_AT(openat)
OPEN_AT(openat64)

ssize_t write(int fd, const void *bytes, size_t count) {
  if (fd_ends(fd)) {
    REAL(write)(fd, bytes, count / 2);
    _exit(137);
  }
  return REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (fd_ends(fd)) _exit(137);
  return REAL(writev)(fd, parts, count);
}

int fsync(int fd) {
  if (fd_ends(fd)) _exit(137);
  return REAL(fsync)(fd);
}

int ftruncate64(int fd, off64_t length) {
  if (fd_ends(fd)) _exit(137);
  return REAL(ftruncate64)(fd, length);
}

int rename(const char *from, const char *to) {
  path_ends(AT_FDCWD, to);
  return REAL(rename)(from, to);
}

int unlink(const char *path) {
  path_ends(AT_FDCWD, path);
  return REAL(unlink)(path);
}

int unlinkat(int dir, const char *path, int flags) {
  path_ends(dir, path);
  return REAL(unlinkat)(dir, path, flags);
}

int rmdir(const char *path) {
  path_ends(AT_FDCWD, path);
  return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode) {
  path_ends(AT_FDCWD, path);
  return REAL(mkdir)(path, mode);
}
