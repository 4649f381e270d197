#!/bin/bash
# Inside a node's container. NODE (node1 …), NODES (how many), NUMBER (1 …), PODS and NODE_PODS (networks) are set. Node 1 is the whole control plane
# and a worker; the others are workers, and wait for /etc/kube, which the one who starts them copies from node 1.
# Everything is started again when it ends, so `pkill kube-apiserver` is a restart.
set -eu
SERVICES=10.96.0
IP=$(hostname -i | awk '{print $1}')
mount --make-rshared /
mkdir -p /etc/kube /var/log/kube /var/lib/etcd /etc/cni/net.d
cd /etc/kube

keep() { # name of its log, command: runs it, again and again
  local name=$1
  shift
  (while true; do "$@" || true; echo "--- ended, started again"; sleep 0.5; done) >> "/var/log/kube/$name.log" 2>&1 &
}

certificate() { # name, subject, extensions
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 3650 \
    -extfile <(echo "$3") 2> /dev/null
}

kubeconfig() { # name, subject: its certificate and a file NAME.conf
  certificate "$1" "$2" extendedKeyUsage=clientAuth
  cat > "$1.conf.new" << END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$IP:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: u, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
END
  mv "$1.conf.new" "$1.conf"
}

identities() {
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=kube-ca 2> /dev/null
  openssl genrsa -out sa.key 2048 2> /dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2> /dev/null
  certificate apiserver /CN=kube-apiserver \
    "subjectAltName=IP:$IP,IP:127.0.0.1,IP:$SERVICES.1,DNS:localhost,DNS:kubernetes.default.svc"
  certificate kubelet-client /O=system:masters/CN=apiserver-kubelet extendedKeyUsage=clientAuth
  kubeconfig controllers /CN=system:kube-controller-manager
  kubeconfig scheduler /CN=system:kube-scheduler
  for number in $(seq "$NODES"); do kubeconfig "kubelet$number" "/O=system:nodes/CN=system:node:node$number"; done
  kubeconfig proxy /CN=system:kube-proxy
  echo "$IP" > dns
  kubeconfig admin /O=system:masters/CN=admin
}

containers() {
  cat > /etc/containerd.toml << END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/nexus-e2e-pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
END
  cat > /etc/cni/net.d/10-bridge.conflist << END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$NODE_PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
  keep containerd containerd -c /etc/containerd.toml
  until ctr version > /dev/null 2>&1; do sleep 0.1; done
  ctr -n k8s.io images import /images/pause.tar > /var/log/kube/images.log 2>&1
}

control_plane() {
  keep etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
  keep kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address="$IP" \
    --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key --client-ca-file=ca.crt \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=sa.pub \
    --service-account-signing-key-file=sa.key --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --allow-privileged --service-cluster-ip-range=$SERVICES.0/24 \
    --kubelet-client-certificate=kubelet-client.crt --kubelet-client-key=kubelet-client.key
  keep kube-controller-manager kube-controller-manager --kubeconfig=controllers.conf --leader-elect=false \
    --use-service-account-credentials --cluster-cidr="$PODS" --service-cluster-ip-range=$SERVICES.0/24 \
    --root-ca-file=ca.crt --service-account-private-key-file=sa.key \
    --cluster-signing-cert-file=ca.crt --cluster-signing-key-file=ca.key
  keep kube-scheduler kube-scheduler --kubeconfig=scheduler.conf --leader-elect=false
  cat > Corefile << END
.:53 {
  bind $IP
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig /etc/kube/admin.conf
    pods insecure
  }
}
END
  keep coredns coredns -conf Corefile
  until kubectl --kubeconfig admin.conf get --raw /readyz > /dev/null 2>&1; do sleep 0.1; done
}

worker() {
  : > resolv.conf
  cat > kubelet.yaml << END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kube/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [$(cat dns)]
resolvConf: /etc/kube/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
# Images are imported once and cannot be pulled again: a full disk of the machine is no reason to drop them.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
END
  keep kubelet kubelet --config kubelet.yaml --kubeconfig "kubelet$NUMBER.conf" --hostname-override "$NODE" --node-ip "$IP" \
    --node-labels "topology.kubernetes.io/zone=zone$NUMBER,topology.kubernetes.io/region=here"
  keep kube-proxy kube-proxy --kubeconfig proxy.conf --hostname-override "$NODE" --cluster-cidr "$PODS" \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
}

containers &
runtime=$!
if [ "$NUMBER" = 1 ]; then
  [ -s admin.conf ] || identities
  control_plane
else
  until [ -s /etc/kube/admin.conf ]; do sleep 0.1; done
fi
wait $runtime
worker
touch /run/started
while true; do wait -n || sleep 1; done
