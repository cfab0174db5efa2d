/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-provider.c - whose file it is, for the table: by what only that provider's files have. */
#include <strings.h>

#include "import.h"

static const char *const names[PROVIDERS] = {
	[PROVIDER_UNKNOWN] = "",
	[PROVIDER_AIRVPN] = "AirVPN",
	[PROVIDER_IVPN] = "IVPN",
	[PROVIDER_MULLVAD] = "Mullvad",
	[PROVIDER_NORDVPN] = "NordVPN",
	[PROVIDER_PIA] = "PIA",
	[PROVIDER_PRIVATEVPN] = "PrivateVPN",
	[PROVIDER_PROTON] = "Proton",
	[PROVIDER_SURFSHARK] = "Surfshark",
	[PROVIDER_WARP] = "WARP",
	[PROVIDER_WINDSCRIBE] = "Windscribe",
};

const char *provider_name(enum provider provider)
{
	return names[provider];
}

static enum provider by_host(const struct conf *conf)
{
	static const struct {
		const char *domain;
		enum provider provider;
	} domains[] = {
		{ "mullvad.net", PROVIDER_MULLVAD },	     { "ivpn.net", PROVIDER_IVPN },		  { "airvpn.org", PROVIDER_AIRVPN },	{ "airservers.org", PROVIDER_AIRVPN },
		{ "windscribe.com", PROVIDER_WINDSCRIBE },   { "whiskergalaxy.com", PROVIDER_WINDSCRIBE }, { "totallyacdn.com", PROVIDER_WINDSCRIBE },
		{ "surfshark.com", PROVIDER_SURFSHARK },     { "nordvpn.com", PROVIDER_NORDVPN },	  { "pvdata.host", PROVIDER_PRIVATEVPN },
		{ "privatevpn.com", PROVIDER_PRIVATEVPN },   { "protonvpn.net", PROVIDER_PROTON },	  { "protonvpn.com", PROVIDER_PROTON },
		{ "privacy.network", PROVIDER_PIA },	     { "cloudflareclient.com", PROVIDER_WARP },
	};

	for (size_t i = 0; i < conf->wg.n_peers; i++) {
		const struct peer *peer = &conf->wg.peers[i];
		const char *host = peer->n_endpoints ? peer->endpoints[peer->n_endpoints - 1].host : "";

		for (size_t j = 0; j < ARRAY_SIZE(domains); j++) {
			size_t len = strlen(host), n = strlen(domains[j].domain);

			if (len > n && strcasecmp(host + len - n, domains[j].domain) == 0 && host[len - n - 1] == '.')
				return domains[j].provider;
		}
	}
	return PROVIDER_UNKNOWN;
}

/* Addresses that are the provider's own choice. */
static enum provider by_address(const struct conf *conf)
{
	static const struct {
		const char *address, *dns; /* the beginnings; one of them may be "" */
		enum provider provider;
	} ranges[] = {
		{ "10.2.0.2", "10.2.0.1", PROVIDER_PROTON },	      { "fc00:bbbb:bbbb:bb01:", "", PROVIDER_MULLVAD },
		{ "10.", "10.64.0.1", PROVIDER_MULLVAD },	      { "10.", "100.64.0.", PROVIDER_MULLVAD },
		{ "fd00:4956:504e:", "", PROVIDER_IVPN },
		{ "fd7d:76ee:e68f:a993:", "", PROVIDER_AIRVPN },      { "2606:4700:110:", "", PROVIDER_WARP },
		{ "10.14.0.2", "162.252.172.57", PROVIDER_SURFSHARK }, { "10.5.0.2", "103.86.96.100", PROVIDER_NORDVPN },
		{ "100.", "10.255.255.", PROVIDER_WINDSCRIBE },	      { "10.", "10.0.0.24", PROVIDER_PIA },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		bool address = false, dns = !*ranges[i].dns;

		for (size_t j = 0; j < conf->n_addresses; j++)
			address |= strncasecmp(conf->addresses[j].text, ranges[i].address, strlen(ranges[i].address)) == 0;
		for (size_t j = 0; j < conf->n_dns; j++)
			dns |= strncmp(conf->dns[j].text, ranges[i].dns, strlen(ranges[i].dns)) == 0;
		if (address && dns)
			return ranges[i].provider;
	}
	return PROVIDER_UNKNOWN;
}

static bool has_word(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasestr(text, words[i]))
			return true;
	return false;
}

/* A word of the comments, or of the file's name. */
static enum provider by_word(const char *name, const char *text)
{
	static const char *const proton[] = { "# NetShield", "# Moderate NAT", "# VPN Accelerator", "# Bouncing" };

	if (has_word(text, proton, ARRAY_SIZE(proton)))
		return PROVIDER_PROTON;
	for (enum provider p = PROVIDER_UNKNOWN + 1; p < PROVIDERS; p++)
		/* Three letters are a part of many words. */
		if (strlen(names[p]) > 3 && p != PROVIDER_WARP && strcasestr(name, names[p]))
			return p;
	if (strncasecmp(name, "pia-", 4) == 0 || strncasecmp(name, "pia_", 4) == 0)
		return PROVIDER_PIA;
	return strncasecmp(name, "wgcf", 4) == 0 || strncasecmp(name, "warp", 4) == 0 ? PROVIDER_WARP : PROVIDER_UNKNOWN;
}

enum provider import_provider(const char *name, const char *text, const struct conf *conf)
{
	const char *base = strrchr(name, '/');
	enum provider provider = by_host(conf);

	if (!provider)
		provider = by_address(conf);
	return provider ? provider : by_word(base ? base + 1 : name, text);
}
