/* SPDX-License-Identifier: MIT */
/*
 * The context switch for x86-64, System V calling convention.
 *
 * A suspended context is its stack pointer; what lies there, upwards:
 *
 *      0  r15
 *      8  r14
 *     16  r13   of a new context: the argument
 *     24  r12   of a new context: the function to call
 *     32  rbx
 *     40  rbp
 *     48  where to go on
 *     56  (the stack pointer of the caller, once it has returned)
 *
 * The offsets do not change when rsp is replaced, hence neither does the
 * unwind information: a debugger sees the caller of either context.
 *
 * The property note says IBT only; shadow stacks would have to be switched
 * too, so the linker must not believe that this file supports them.
 */

        .text

        .macro  function name
        .globl  \name
        .hidden \name
        .type   \name, @function
        .balign 16
\name:
        .cfi_startproc
        endbr64
        .endm

        .macro  done name
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .macro  save reg
        push    \reg
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \reg, 0
        .endm

        .macro  restore reg
        pop     \reg
        .cfi_adjust_cfa_offset -8
        .cfi_restore \reg
        .endm

/* A function that begins by leaving the one context for the stack of another;
   the lines that follow say how that one goes on. */
        .macro  leave_by name
        function \name
        .irp    reg, %rbp, %rbx, %r12, %r13, %r14, %r15
        save    \reg
        .endr
        mov     %rsp, (%rdi)            /* the one is suspended */
        mov     %rsi, %rsp              /* the other goes on */
        .endm

/* void cel__switch(void **from, void *to) */
        leave_by cel__switch
        .irp    reg, %r15, %r14, %r13, %r12, %rbx, %rbp
        restore \reg
        .endr
        ret
        done    cel__switch

/* void *cel__switch_prepare(void *top, void *(*entry)(void *), void *arg) */
        function cel__switch_prepare
        lea     coroutine_start(%rip), %rax
        mov     %rax, -8(%rdi)
        movq    $0, -16(%rdi)           /* rbp: frame pointers end here */
        movq    $0, -24(%rdi)
        mov     %rsi, -32(%rdi)         /* r12 */
        mov     %rdx, -40(%rdi)         /* r13 */
        movq    $0, -48(%rdi)
        movq    $0, -56(%rdi)
        lea     -56(%rdi), %rax
        ret
        done    cel__switch_prepare

/* int cel__switch_visit(void *sp, void (*fn)(void *), void *arg)
   The unwinder, which is told that the frame lies where rbx points, goes on
   from here into the suspended context. */
        function cel__switch_visit
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        .cfi_remember_state
        mov     %rdi, %rbx
        .cfi_def_cfa %rbx, 56
        .cfi_offset %rbp, -16
        .cfi_offset %rbx, -24
        .cfi_offset %r12, -32
        .cfi_offset %r13, -40
        .cfi_offset %r14, -48
        .cfi_offset %r15, -56
        mov     %rdx, %rdi
        call    *%rsi
        mov     $1, %eax
        pop     %rbx
        .cfi_restore_state
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
        done    cel__switch_visit

/* void cel__switch_start(void **from, void *top, void *(*entry)(void *),
                          void *arg)
   Goes on into coroutine_start. */
        leave_by cel__switch_start
        .cfi_undefined %rip
        xor     %ebp, %ebp              /* frame pointers end here */
        mov     %rdx, %r12
        mov     %rcx, %r13
        done    cel__switch_start

/* The first frame of a context: rsp is the `top` of above, 16-aligned, as it
   must be at a call.  Nobody called it, which the unwinder is told. */
        .type   coroutine_start, @function
coroutine_start:
        .cfi_startproc
        .cfi_undefined %rip
        mov     %r13, %rdi
        call    *%r12
        mov     %rax, %rsp              /* whose turn it is now */
        .irp    reg, %r15, %r14, %r13, %r12, %rbx, %rbp
        pop     \reg
        .endr
        lea     coroutine_start(%rip), %rcx
        cmp     %rcx, (%rsp)
        je      1f
        ret                             /* foreseen: see switch.h */
1:      add     $8, %rsp
        jmp     coroutine_start
        done    coroutine_start

        .section .note.GNU-stack, "", @progbits

        .section .note.gnu.property, "a", @note
        .balign 8
        .long   4                       /* bytes of the name */
        .long   16                      /* bytes of the properties */
        .long   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000002              /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   4
        .long   1                       /* IBT */
        .long   0
