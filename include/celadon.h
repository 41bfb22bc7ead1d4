/* SPDX-License-Identifier: MIT */
/*
 * Celadon: blocking code, made concurrent.
 *
 * This header has all of the library; each part can be had alone.
 */
#ifndef CELADON_H
#define CELADON_H

#include "celadon/base.h"
#include "celadon/chan.h"
#include "celadon/dial.h"
#include "celadon/embed.h"
#include "celadon/file.h"
#include "celadon/gen.h"
#include "celadon/group.h"
#include "celadon/info.h"
#include "celadon/local.h"
#include "celadon/net.h"
#include "celadon/pipe.h"
#include "celadon/pool.h"
#include "celadon/process.h"
#include "celadon/resolve.h"
#include "celadon/run.h"
#include "celadon/scope.h"
#include "celadon/see.h"
#include "celadon/signals.h"
#include "celadon/stream.h"
#include "celadon/sync.h"
#include "celadon/transfer.h"
#include "celadon/watch.h"
#include "celadon/workers.h"

#endif
