/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

int library_load(const char *soname, const struct library_symbol *symbols, size_t n)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return -ELIBACC;
	for (size_t i = 0; i < n; i++)
		if (!dlsym(library, symbols[i].name)) {
			dlclose(library);
			return -ELIBACC;
		}
	for (size_t i = 0; i < n; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		memcpy(symbols[i].to, &symbol, sizeof(symbol));
	}
	return 0;
}
