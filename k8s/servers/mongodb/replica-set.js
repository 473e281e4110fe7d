// Makes the three servers one replica set and its users what the secret says. Doing it again changes nothing, and after
// the secret has changed it gives the users their new passwords.
const hosts = process.env.MEMBERS.split(",");
const WAIT_SECONDS = 600;

// As the members know each other, for on servers that are new there are no users yet.
function asMember(address, options) {
  const key = encodeURIComponent(process.env.REPLICA_SET_KEY);
  return new Mongo(`mongodb://__system:${key}@${address}/?authSource=local&${options}`).getDB("admin");
}

function eventually(what, attempt) {
  const end = Date.now() + WAIT_SECONDS * 1000;
  while (true) {
    try {
      return attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      print(`${what}: ${error.codeName || error.message}`);
      sleep(2000);
    }
  }
}

function isMember(host) {
  try {
    asMember(host, "directConnection=true").adminCommand({ replSetGetStatus: 1 });
    return true;
  } catch (error) {
    if (error.codeName === "NotYetInitialized") return false;
    throw error;
  }
}

// A server that does not listen yet cannot be taken in. If one of them is in a set already, they are that set: one whose
// volume is new is taken in again by the others.
let isSet = false;
for (const host of hosts) isSet = eventually(host, () => isMember(host)) || isSet;
if (!isSet) {
  const members = hosts.map((host, number) => ({ _id: number, host }));
  asMember(hosts[0], "directConnection=true").adminCommand({ replSetInitiate: { _id: "gridmesh", members } });
  print("initiated");
}

const set = eventually("primary", () => {
  const admin = asMember(hosts.join(","), "replicaSet=gridmesh&w=majority");
  if (!admin.hello().isWritablePrimary) throw new Error("there is none yet");
  return admin;
});

const users = [
  ["admin", process.env.ADMIN_PASSWORD, ["root"]],
  ["backup", process.env.BACKUP_PASSWORD, ["backup"]],
  ["gridmesh", process.env.PASSWORD, [{ role: "readWrite", db: "gridmesh" }]],
];
for (const [name, pwd, roles] of users) {
  if (set.getUser(name) === null) set.createUser({ user: name, pwd, roles });
  else set.updateUser(name, { pwd, roles });
  print(`user ${name}`);
}
