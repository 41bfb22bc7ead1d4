/* SPDX-License-Identifier: MIT */
/*
 * Addresses as Python writes them, and as the kernel does.
 *
 * Here: IPv4, IPv6 and unix, with numeric hosts and in the form everybody
 * writes them.  What is unusual (other families, odd types, mistakes) goes to
 * CPython's own conversion, which also words the errors.  That one would look
 * names up on the spot, so names are turned into numbers first, on the pool
 * of threads.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_socket.py, test_dns.py
 */
#include "ext/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

#include "ext/offload.h"

#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

/* ---- from Python */

/* The characters of a str that is ASCII; NULL: it is something else. */
static const char *
ascii(PyObject *text, Py_ssize_t *len)
{
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text)) {
        return NULL;
    }
    *len = PyUnicode_GET_LENGTH(text);
    return (const char *)PyUnicode_1BYTE_DATA(text);
}

/* The number `value` if it is an int within 0..most; -1: it is not. */
static long long
number(PyObject *value, long long most)
{
    int overflow;

    if (!PyLong_CheckExact(value)) {
        return -1;
    }
    long long n = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow != 0 || n > most ? -1 : n;
}

/* A numeric host; also "" and "<broadcast>", as CPython has them. */
static bool
read_host4(const char *host, struct in_addr *out)
{
    if (*host == '\0') {
        out->s_addr = htonl(INADDR_ANY);
        return true;
    }
    if (strcmp(host, "<broadcast>") == 0) {
        out->s_addr = htonl(INADDR_BROADCAST);
        return true;
    }
    return inet_pton(AF_INET, host, out) == 1;
}

static bool
read_host6(const char *host, struct in6_addr *out)
{
    if (*host == '\0') {
        *out = in6addr_any;
        return true;
    }
    return inet_pton(AF_INET6, host, out) == 1;
}

static int
read_inet(PyObject *addr, struct sockaddr_in *out, socklen_t *len)
{
    Py_ssize_t n;

    if (!PyTuple_CheckExact(addr) || PyTuple_GET_SIZE(addr) != 2) {
        return 0;
    }
    const char *host = ascii(PyTuple_GET_ITEM(addr, 0), &n);
    long long port = number(PyTuple_GET_ITEM(addr, 1), UINT16_MAX);
    if (host == NULL || strlen(host) != (size_t)n || port < 0 ||
        !read_host4(host, &out->sin_addr)) {
        return 0;
    }
    out->sin_family = AF_INET;
    out->sin_port = htons((uint16_t)port);
    *len = sizeof(*out);
    return 1;
}

static int
read_inet6(PyObject *addr, struct sockaddr_in6 *out, socklen_t *len)
{
    long long numbers[3] = {-1, 0, 0}; /* port, flow label, scope */
    static const long long most[3] = {UINT16_MAX, 0xfffff, UINT32_MAX};
    Py_ssize_t n;

    Py_ssize_t size = PyTuple_CheckExact(addr) ? PyTuple_GET_SIZE(addr) : 0;
    if (size < 2 || size > 4) {
        return 0;
    }
    for (Py_ssize_t i = 1; i < size; i++) {
        numbers[i - 1] = number(PyTuple_GET_ITEM(addr, i), most[i - 1]);
        if (numbers[i - 1] < 0) {
            return 0;
        }
    }
    const char *host = ascii(PyTuple_GET_ITEM(addr, 0), &n);
    if (host == NULL || strlen(host) != (size_t)n ||
        !read_host6(host, &out->sin6_addr)) {
        return 0;
    }
    out->sin6_family = AF_INET6;
    out->sin6_port = htons((uint16_t)numbers[0]);
    out->sin6_flowinfo = htonl((uint32_t)numbers[1]);
    out->sin6_scope_id = (uint32_t)numbers[2];
    *len = sizeof(*out);
    return 1;
}

/* A path, or, as bytes or str that begin with NUL, an abstract name. */
static int
read_unix(PyObject *addr, struct sockaddr_un *out, socklen_t *len)
{
    Py_ssize_t n;
    const char *path = ascii(addr, &n);

    if (path == NULL && PyBytes_CheckExact(addr)) {
        path = PyBytes_AS_STRING(addr);
        n = PyBytes_GET_SIZE(addr);
    }
    if (path == NULL || n == 0 || (size_t)n >= sizeof(out->sun_path)) {
        return 0;
    }
    out->sun_family = AF_UNIX;
    memcpy(out->sun_path, path, (size_t)n);
    /* A path is sent with its end, a name is as long as it is. */
    *len = (socklen_t)(PATH_OFFSET + (size_t)n + (path[0] != '\0'));
    return 1;
}

int
sock_addr_read(sockobject *self, PyObject *addr, union sock_addr *out,
               socklen_t *len)
{
    void *to = out;

    memset(out, 0, sizeof(*out));
    switch (self->family) {
    case AF_INET:
        return read_inet(addr, to, len);
    case AF_INET6:
        return read_inet6(addr, to, len);
    case AF_UNIX:
        return read_unix(addr, to, len);
    default:
        return 0;
    }
}

/* ---- to Python */

bool
sock_addr_known(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

static PyObject *
show_inet(const struct sockaddr_in *in)
{
    char host[INET_ADDRSTRLEN];

    if (inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host)) == NULL) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(si)", host, ntohs(in->sin_port));
}

static PyObject *
show_inet6(const struct sockaddr_in6 *in6)
{
    char host[INET6_ADDRSTRLEN];

    if (inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host)) == NULL) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(siII)", host, ntohs(in6->sin6_port),
                         ntohl(in6->sin6_flowinfo), in6->sin6_scope_id);
}

static PyObject *
show_unix(const struct sockaddr_un *un, socklen_t len)
{
    size_t n = len > PATH_OFFSET ? len - PATH_OFFSET : 0;

    if (n > sizeof(un->sun_path)) {
        n = sizeof(un->sun_path);
    }
    if (n > 0 && un->sun_path[0] == '\0') {
        return PyBytes_FromStringAndSize(un->sun_path, (Py_ssize_t)n);
    }
    return PyUnicode_DecodeFSDefaultAndSize(
        un->sun_path, (Py_ssize_t)strnlen(un->sun_path, n));
}

PyObject *
sock_addr_show(const union sock_addr *addr, socklen_t len)
{
    const void *from = addr;

    if (len == 0) {
        Py_RETURN_NONE; /* a connected socket need not be told */
    }
    switch (addr->any.sa_family) {
    case AF_INET:
        return show_inet(from);
    case AF_INET6:
        return show_inet6(from);
    case AF_UNIX:
        return show_unix(from, len);
    default:
        return NULL;
    }
}

/* ---- names */

/* Whether CPython's conversion would have to look `host` up. */
static bool
is_name(sockobject *self, PyObject *host)
{
    union sock_addr addr;
    const char *text = NULL;

    if (PyUnicode_Check(host)) {
        text = PyUnicode_AsUTF8(host);
    }
    else if (PyBytes_Check(host)) {
        text = PyBytes_AS_STRING(host);
    }
    if (text == NULL) {
        PyErr_Clear();
        return false; /* not a host at all; the conversion says so */
    }
    return self->family == AF_INET ? !read_host4(text, (void *)&addr)
                                   : !read_host6(text, (void *)&addr);
}

/* The first address of `host`, as getaddrinfo() gives it.  New. */
static PyObject *
look_up(sockobject *self, PyObject *host)
{
    struct celext_state *state = sock_state(self);
    PyObject *socket = state == NULL ? NULL : PyImport_ImportModule("_socket");
    PyObject *getaddrinfo = NULL;
    PyObject *found = NULL;
    PyObject *addr = NULL;

    if (socket != NULL) {
        getaddrinfo = PyObject_GetAttrString(socket, "getaddrinfo");
    }
    if (getaddrinfo != NULL) {
        PyObject *args = Py_BuildValue("(OOi)", host, Py_None, self->family);
        found = args == NULL ? NULL
                             : offload_call(state, getaddrinfo, args, NULL);
        Py_XDECREF(args);
    }
    if (found != NULL) {
        PyObject *first = PySequence_GetItem(found, 0);
        addr = first == NULL ? NULL : PySequence_GetItem(first, 4);
        Py_XDECREF(first);
    }
    Py_XDECREF(found);
    Py_XDECREF(getaddrinfo);
    Py_XDECREF(socket);
    return addr;
}

PyObject *
sock_addr_resolve(sockobject *self, PyObject *addr)
{
    if ((self->family != AF_INET && self->family != AF_INET6) ||
        !PyTuple_Check(addr) || PyTuple_GET_SIZE(addr) < 2 ||
        !is_name(self, PyTuple_GET_ITEM(addr, 0))) {
        return Py_NewRef(addr);
    }
    PyObject *found = look_up(self, PyTuple_GET_ITEM(addr, 0));
    if (found == NULL) {
        return NULL;
    }
    PyObject *host = PySequence_GetItem(found, 0);
    Py_DECREF(found);
    PyObject *rest = PyTuple_GetSlice(addr, 1, PyTuple_GET_SIZE(addr));
    PyObject *result = NULL;
    if (host != NULL && rest != NULL) {
        PyObject *head = PyTuple_Pack(1, host);
        result = head == NULL ? NULL : PySequence_Concat(head, rest);
        Py_XDECREF(head);
    }
    Py_XDECREF(host);
    Py_XDECREF(rest);
    return result;
}
