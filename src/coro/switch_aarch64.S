/* SPDX-License-Identifier: MIT */
/*
 * The context switch for aarch64, AAPCS64.
 *
 * A suspended context is its stack pointer; what lies there, upwards:
 *
 *      0  x19 x20   of a new context: the function to call, its argument
 *     16  x21 x22
 *     32  x23 x24
 *     48  x25 x26
 *     64  x27 x28
 *     80  x29 x30   the frame pointer; where to go on
 *     96  d8 to d15
 *    160  (the stack pointer of the caller)
 *
 * x18 is the platform's and left alone.
 *
 * BTI: a return address is no landing pad, but ret is not checked.  The
 * property note is for builds with branch protection.
 */

        .text

        .macro  function name
        .globl  \name
        .hidden \name
        .type   \name, %function
        .balign 16
\name:
        .cfi_startproc
        hint    #34                     /* bti c */
        .endm

        .macro  done name
        .cfi_endproc
        .size   \name, . - \name
        .endm

/* Where the registers of a suspended context lie below its caller's sp. */
        .macro  saved_below
        .set    .Lat, -160
        .irp    reg, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
        .cfi_offset x\reg, .Lat
        .set    .Lat, .Lat + 8
        .endr
        .irp    reg, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_offset d\reg, .Lat
        .set    .Lat, .Lat + 8
        .endr
        .endm

        .macro  each_pair stp_or_ldp
        \stp_or_ldp x19, x20, [sp, #0]
        \stp_or_ldp x21, x22, [sp, #16]
        \stp_or_ldp x23, x24, [sp, #32]
        \stp_or_ldp x25, x26, [sp, #48]
        \stp_or_ldp x27, x28, [sp, #64]
        \stp_or_ldp x29, x30, [sp, #80]
        \stp_or_ldp d8, d9, [sp, #96]
        \stp_or_ldp d10, d11, [sp, #112]
        \stp_or_ldp d12, d13, [sp, #128]
        \stp_or_ldp d14, d15, [sp, #144]
        .endm

        .macro  restore
        each_pair ldp
        add     sp, sp, #160
        .endm

/* A function that begins by leaving the one context for the stack of another;
   the lines that follow say how that one goes on. */
        .macro  leave_by name
        function \name
        sub     sp, sp, #160
        .cfi_def_cfa_offset 160
        each_pair stp
        saved_below
        mov     x9, sp
        str     x9, [x0]                /* the one is suspended */
        mov     sp, x1                  /* the other goes on */
        .endm

/* void cel__switch(void **from, void *to) */
        leave_by cel__switch
        restore
        .cfi_def_cfa_offset 0
        .irp    reg, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30
        .cfi_restore \reg
        .endr
        .irp    reg, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_restore \reg
        .endr
        ret
        done    cel__switch

/* void *cel__switch_prepare(void *top, void *(*entry)(void *), void *arg) */
        function cel__switch_prepare
        sub     x0, x0, #160
        adr     x9, coroutine_start
        stp     x1, x2, [x0, #0]        /* x19, x20 */
        stp     xzr, x9, [x0, #80]      /* x29: frame pointers end here */
        .irp    at, 16, 32, 48, 64, 96, 112, 128, 144
        stp     xzr, xzr, [x0, #\at]
        .endr
        ret
        done    cel__switch_prepare

/* int cel__switch_visit(void *sp, void (*fn)(void *), void *arg)
   The unwinder, which is told that the frame lies where x19 points, goes on
   from here into the suspended context. */
        function cel__switch_visit
        stp     x19, x30, [sp, #-16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x19, -16
        .cfi_offset x30, -8
        .cfi_remember_state
        mov     x19, x0
        .cfi_def_cfa x19, 160
        saved_below
        mov     x0, x2
        blr     x1
        mov     w0, #1
        ldp     x19, x30, [sp], #16
        .cfi_restore_state
        .cfi_def_cfa_offset 0
        .cfi_restore x19
        .cfi_restore x30
        ret
        done    cel__switch_visit

/* void cel__switch_start(void **from, void *top, void *(*entry)(void *),
                          void *arg)
   Goes on into coroutine_start. */
        leave_by cel__switch_start
        .cfi_undefined x30
        mov     x29, xzr                /* frame pointers end here */
        mov     x19, x2
        mov     x20, x3
        done    cel__switch_start

/* The first frame of a context; sp is the `top` of above.  Nobody called it,
   which the unwinder is told. */
        .type   coroutine_start, %function
coroutine_start:
        .cfi_startproc
        .cfi_undefined x30
        mov     x0, x20
        blr     x19
        mov     sp, x0                  /* whose turn it is now */
        restore
        adr     x9, coroutine_start
        cmp     x30, x9
        b.eq    coroutine_start
        ret                             /* foreseen: see switch.h */
        done    coroutine_start

        .section .note.GNU-stack, "", %progbits

#if defined(__ARM_FEATURE_BTI_DEFAULT)
        .section .note.gnu.property, "a", %note
        .balign 8
        .long   4                       /* bytes of the name */
        .long   16                      /* bytes of the properties */
        .long   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000000              /* ..._AARCH64_FEATURE_1_AND */
        .long   4
        .long   1                       /* BTI */
        .long   0
#endif
