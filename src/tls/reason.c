/* SPDX-License-Identifier: MIT */
/*
 * Why something failed: an errno for the program, a sentence for people.
 *
 * OpenSSL keeps a queue of errors a thread.  The first of them is the cause,
 * those after it are how that looked from further up.  The queue is empty
 * before each call (see transfer.c), and read before anything else can run.
 *
 * Threads: the connection's.
 *
 * Tests: unit/test_tls.c
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls/tls.h"

/* Reasons from here on are alerts that the peer has sent. */
#define ALERTS SSL_AD_REASON_OFFSET

static const char *
text_of(unsigned long error)
{
    const char *text = ERR_reason_error_string(error);

    return text != NULL ? text : "unknown reason";
}

int
cel__tls_reason_of_queue(char *reason)
{
    unsigned long error = ERR_peek_error();
    const char *text = text_of(error);
    char system[64];
    int code = -EINVAL;

    if (ERR_SYSTEM_ERROR(error)) {
        code = -ERR_GET_REASON(error);
        text = strerror_r(-code, system, sizeof(system));
    }
    else if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
        code = -ENOMEM;
    }
    (void)snprintf(reason, CEL__TLS_REASON, "%s", text);
    ERR_clear_error();
    return code;
}

/* The errno for an error of a connection; its text is in tls->reason after. */
static int
explain(cel_tls *tls, unsigned long error)
{
    char *reason = tls->reason;
    int code = ERR_GET_REASON(error);

    if (code == ERR_R_MALLOC_FAILURE) {
        (void)snprintf(reason, CEL__TLS_REASON, "out of memory");
        return -ENOMEM;
    }
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
        (void)snprintf(reason, CEL__TLS_REASON, "%s", text_of(error));
        return -EPROTO;
    }
    if (code == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        (void)snprintf(
            reason, CEL__TLS_REASON, "the peer closed the connection %s",
            tls->ready ? "without saying so" : "during the handshake");
        return -ECONNABORTED;
    }
    if (code == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        return -EKEYREJECTED; /* see cel__tls_reason_verify() */
    }
    (void)snprintf(reason, CEL__TLS_REASON, "%s%s",
                   code >= ALERTS ? "the peer says: " : "", text_of(error));
    return -EPROTO;
}

int
cel__tls_reason_fail(cel_tls *tls, int error)
{
    if (error == SSL_ERROR_WANT_WRITE) { /* of memory, see bio.c */
        (void)snprintf(tls->reason, sizeof(tls->reason), "out of memory");
        tls->broken = -ENOMEM;
    }
    else {
        tls->broken = explain(tls, ERR_peek_error());
    }
    ERR_clear_error();
    return tls->broken;
}

int
cel__tls_reason_lost(cel_tls *tls, int err)
{
    char text[64];

    switch (-err) {
    case EPERM:
    case ETIMEDOUT:
    case ECANCELED:
    case EDEADLK:
    case ENOMEM:
        break;
    default:
        if (tls->broken == 0) { /* else that was the cause */
            (void)snprintf(tls->reason, sizeof(tls->reason), "%s",
                           strerror_r(-err, text, sizeof(text)));
        }
        break;
    }
    return err;
}

int
cel__tls_reason_verify(int ok, X509_STORE_CTX *store)
{
    int index = SSL_get_ex_data_X509_STORE_CTX_idx();
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, index);
    cel_tls *tls = SSL_get_app_data(ssl);
    char subject[128] = "";

    if (ok != 0 || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) {
        return ok;
    }
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    if (certificate != NULL) {
        (void)X509_NAME_oneline(X509_get_subject_name(certificate), subject,
                                sizeof(subject));
    }
    bool misnamed = error == X509_V_ERR_HOSTNAME_MISMATCH ||
                    error == X509_V_ERR_IP_ADDRESS_MISMATCH;
    (void)snprintf(tls->reason, sizeof(tls->reason),
                   "certificate refused: %s%s%.60s (depth %d, %s)",
                   X509_verify_cert_error_string(error),
                   misnamed ? ", not for " : "",
                   misnamed && tls->host != NULL ? tls->host : "",
                   X509_STORE_CTX_get_error_depth(store), subject);
    return ok;
}
