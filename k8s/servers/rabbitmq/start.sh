# Starts a node of the broker with the secret of its cluster, and sees to it that there is only one cluster.
set -eu
umask 077

# Erlang takes it only from a file that its owner alone may read.
printf %s "$ERLANG_COOKIE" >"$HOME/.erlang.cookie"
cp /settings/gridmesh.conf /etc/rabbitmq/conf.d/90-gridmesh.conf

# Number 0 begins a cluster when its volume is new, and would do so beside one that is there already: then it has to join.
if [ "$POD_NAME" = rabbitmq-0 ] && [ ! -d "/var/lib/rabbitmq/mnesia/$RABBITMQ_NODENAME" ]; then
  for number in 1 2; do
    peer=rabbit@rabbitmq-$number.${RABBITMQ_NODENAME#*.}
    if rabbitmq-diagnostics --quiet --longnames --node "$peer" --timeout 15 check_running; then
      echo "cluster_formation.k8s.seed_node = $peer" >/etc/rabbitmq/conf.d/95-seed.conf
      break
    fi
  done
fi

exec docker-entrypoint.sh rabbitmq-server
