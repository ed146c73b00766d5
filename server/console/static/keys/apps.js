// The apps that send positions as they are: what each is told, and how. Their formats and what they read were taken from
// their own sources; docs/devices.md has the same for people who type.

const ingest = "/tracking/timeseries/session_by_device/ingest";

/** exampleKey stands for a credential whose text is not known any more. */
export const exampleKey = "dk_…";

/**
 * apps are the apps. Of each, fields({ key, name }) are [label, value] to type, and link({ key, name }) is what its QR code
 * says, where it reads one. name is what the app calls the device; of a credential that is for one device it says nothing.
 */
export const apps = [
  {
    id: "owntracks", title: "OwnTracks", where: "Preferences, Connection, mode HTTP",
    fields: ({ key, name }) => [["URL", address("owntracks")], ["Authentication", "on"], ["User name", "lastseen"], ["Password", key], ["Device id", name]],
    link: ownTracksLink, scan: "Scan it with the phone's camera; OwnTracks opens and asks whether to take the configuration over.",
  },
  {
    id: "overland", title: "Overland", where: "Settings, Receiver Endpoint",
    fields: ({ key, name }) => [["Endpoint", address("overland")], ["Access token", key], ["Device id", name]],
    link: ({ key, name }) => `overland://setup?${query({ url: address("overland"), token: key, device_id: name })}`,
    scan: "Scan it with the phone's camera; Overland opens with everything filled in.",
  },
  {
    id: "osmand", title: "OsmAnd", where: "Plugins, Trip recording, Online tracking, Web address",
    fields: ({ key, name }) => [["Web address", `${address("osmand")}/${key}?id=${encodeURIComponent(name)}&lat={0}&lon={1}&timestamp={2}&hdop={3}&altitude={4}&speed={5}&bearing={6}&batproc={11}`]],
  },
  {
    id: "traccar_client", title: "Traccar Client", where: "Settings, Server URL",
    fields: ({ key, name }) => [["Server URL", `${address("traccar_client")}/${key}`], ["Device identifier", name]],
    link: ({ key, name }) => `${address("traccar_client")}/${key}?${query({ id: name })}`,
    scan: "Scan it from within the app (newer versions: Settings, the QR code at the top), not with the camera, which would open a browser.",
  },
  {
    id: "gpslogger", title: "GPSLogger", where: "Logging details, Log to custom URL",
    fields: ({ key, name }) => [
      ["URL", `${address("gpslogger")}?id=${encodeURIComponent(name)}&lat=%LAT&lon=%LON&alt=%ALT&spd=%SPD&acc=%ACC&dir=%DIR&time=%TIME&batt=%BATT`],
      ["Basic authentication, user name", "lastseen"], ["Basic authentication, password", key],
    ],
  },
  {
    id: "traccar", title: "A Traccar server", where: "traccar.xml; its devices keep their own identifiers", named: true,
    fields: ({ key }) => [["forward.type", "json"], ["forward.url", address("traccar")], ["forward.header", `Authorization: Bearer ${key}`], ["forward.retry.enable", "true"]],
  },
  {
    id: "", title: "Your own program", where: "A request with the credential in a header",
    fields: ({ key, name }) => [["For a shell", `curl "${location.origin}${ingest}/v1" -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '{"points":[{"device_mac_address":"${name}","timestamp":"${new Date().toISOString()}","latitude":48.1371,"longitude":11.5754}]}'`]],
  },
];

function address(app) {
  return `${location.origin}${ingest}/${app}/v1`;
}

function query(values) {
  return Object.entries(values).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
}

/** ownTracksLink has the configuration as the app exports it. The topic's base is what names the device. */
function ownTracksLink({ key, name }) {
  const configuration = {
    _type: "configuration", mode: 3, url: address("owntracks"), auth: true, username: "lastseen", password: key, deviceId: name, pubTopicBase: `owntracks/${name}`,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(configuration));
  return `owntracks:///config?inline=${encodeURIComponent(btoa(String.fromCharCode(...bytes)))}`;
}
