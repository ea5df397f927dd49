// Who looks at the page, and what the archive lets it do: what it may not is not offered.

import { askJson } from "./api.js";

/** What the caller may: `may(role)`, and `isWhole` when it has all archive groups. */
export async function askCaller(signal) {
  const { roles, groups } = await askJson("/v1/caller", { signal });
  return { may: (role) => roles.includes(role), isWhole: groups === null };
}
