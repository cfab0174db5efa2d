/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uapi.h - the text of WireGuard's cross-platform configuration protocol
 * (https://www.wireguard.com/xplatform/), both ways. Pure.
 */
#pragma once

#include "conf.h"

/* A whole `set=1` request, blank line included. Only what is present is sent: wg's addconf. */
void uapi_format_set(const struct wg_iface *wg, struct buf *request);

/*
 * The reply to `get=1`. Unknown keys are ignored, as the protocol asks.
 * -EBADMSG when it is not a reply, -errno when the other side reported one.
 * The caller frees with wg_iface_free().
 */
int uapi_parse_get(const char *text, size_t len, struct wg_iface *ret_wg);

/* The reply to `set=1`: 0 or the -errno it reports; -EBADMSG. */
int uapi_parse_set(const char *text, size_t len);
