// The two kinds of credentials, which one component shows. What differs between them is said here.

export const apiKeys = {
  slug: "api-keys",
  prefix: "ak_",
  path: "/orgs/api_keys",
  idParameter: "api_key_id",
  tab: "API keys",
  one: "API key",
  many: "API keys",
  short: "key",
  icon: "key",
  namePlaceholder: "Dispatch board, production",
  purpose: "An API key lets an integration read this organisation's sessions and their positions. It acts as an Operator and has no user.",
  emptyText: "Add a key for each integration, so that you can revoke one without stopping the others.",
  secretUse: "Integrations send it with every request in this header:",
  secretHeader: "Authorization: Bearer ak_…",
  bindsToDevice: false,
  hasLimits: true, // and can be changed, and its requests are counted
};

export const deviceCredentials = {
  slug: "device-credentials",
  prefix: "dk_",
  path: "/orgs/device_credentials",
  idParameter: "device_credential_id",
  tab: "Device credentials",
  one: "device credential",
  many: "device credentials",
  short: "credential",
  icon: "device",
  namePlaceholder: "Gateway, depot north",
  purpose: "A device credential lets a tracker or a gateway write points for this organisation. It reads nothing.",
  emptyText: "Add one for each gateway or tracker that sends points, or bind one to a single device.",
  secretUse: "Devices send it with every batch of points in this header:",
  secretHeader: "Authorization: Bearer dk_…",
  bindsToDevice: true,
  hasLimits: false,
};

export const kinds = [apiKeys, deviceCredentials];
