# Puts an archive back into a replica set that has no data of the mesh: the newest one with readings, or the one that is named.
set -eu
umask 077

members=mongodb-0.mongodb.gridmesh-servers:27017,mongodb-1.mongodb.gridmesh-servers:27017
members=$members,mongodb-2.mongodb.gridmesh-servers:27017
archive=/backups/${ARCHIVE:-$(find /backups -name '*Z.archive.gz' -printf '%f\n' | sort | tail -n 1)}
[ -f "$archive" ] || { echo "there is no $archive; there are:"; ls /backups; exit 1; }

# Laid over other data it would be neither: what the archive does not have would stay.
MEMBERS=$members mongosh --nodb --quiet --norc --eval '
  const {MEMBERS, ADMIN_PASSWORD} = process.env
  const url = `mongodb://admin:${encodeURIComponent(ADMIN_PASSWORD)}@${MEMBERS}/?authSource=admin&replicaSet=gridmesh`
  const found = new Mongo(url).getDB("gridmesh").getCollectionNames()
  if (found.length) { print(`the database has ${found.length} collections: drop it first`); quit(1) }'

echo "restoring $archive"
printf 'password: "%s"\n' "$ADMIN_PASSWORD" >/tmp/mongorestore.yaml
mongorestore --config=/tmp/mongorestore.yaml --host="gridmesh/$members" --username=admin --authenticationDatabase=admin \
  --writeConcern='{w: "majority"}' --oplogReplay --stopOnError --gzip --archive="$archive"
