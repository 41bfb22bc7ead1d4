/* SPDX-License-Identifier: MIT */
/*
 * Certificates made on the spot.
 *
 * Threads: one.
 */
#ifndef CEL_TEST_CERT_H
#define CEL_TEST_CERT_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAY = 86400 /* seconds */
};

/* A certificate and its key. */
struct cert {
    X509 *x509;
    EVP_PKEY *pkey;
    char *text; /* PEM */
    char *key;  /* PEM */
};

/* What it is to be. */
struct wish {
    const char *name;          /* of the subject */
    const char *hosts;         /* "DNS:a.test,IP:127.0.0.1"; NULL: a root's */
    const struct cert *issuer; /* NULL: itself */
    long from;                 /* seconds from now */
    long until;
};

/* Nothing of what is wished for is wrong, so OpenSSL is. */
static inline void
cert_must(bool worked)
{
    if (!worked) {
        (void)fputs("no certificate could be made\n", stderr);
        abort();
    }
}

static inline char *
text_of(BIO *bio)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, (size_t)len);

    BIO_free(bio);
    return text;
}

static inline void
extend(X509 *x509, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);

    cert_must(extension != NULL);
    cert_must(X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline struct cert
make_cert(const struct wish *wish)
{
    static long serial;
    struct cert cert = {X509_new(), EVP_EC_gen("P-256"), NULL, NULL};
    const struct cert *issuer = wish->issuer == NULL ? &cert : wish->issuer;
    X509 *x509 = cert.x509;
    X509_NAME *name = X509_get_subject_name(x509);
    X509V3_CTX context;

    (void)X509_set_version(x509, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                     (const unsigned char *)wish->name, -1, -1,
                                     0);
    (void)X509_gmtime_adj(X509_getm_notBefore(x509), wish->from);
    (void)X509_gmtime_adj(X509_getm_notAfter(x509), wish->until);
    (void)X509_set_pubkey(x509, cert.pkey);
    (void)X509_set_issuer_name(x509, X509_get_subject_name(issuer->x509));
    X509V3_set_ctx(&context, issuer->x509, x509, NULL, NULL, 0);
    if (wish->hosts == NULL) {
        extend(x509, &context, NID_basic_constraints, "critical,CA:TRUE");
    }
    else {
        extend(x509, &context, NID_subject_alt_name, wish->hosts);
    }
    cert_must(X509_sign(x509, issuer->pkey, EVP_sha256()) > 0);

    BIO *bio = BIO_new(BIO_s_mem());
    cert_must(PEM_write_bio_X509(bio, x509) == 1);
    cert.text = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    cert_must(PEM_write_bio_PrivateKey(bio, cert.pkey, NULL, NULL, 0, NULL,
                                       NULL) == 1);
    cert.key = text_of(bio);
    return cert;
}

static inline void
free_cert(struct cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->pkey);
    free(cert->text);
    free(cert->key);
}

#endif
