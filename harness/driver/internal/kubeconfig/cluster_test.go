package kubeconfig_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/drivertest"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kubeconfig"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/sim"
	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// world is a cluster that others use: it has their objects, and the images that it
// could pull.
type world struct {
	client  kubernetes.Interface
	config  *rest.Config
	subject *defects.Subject
	file    string // an administrator's kubeconfig
	load    func(context.Context, cluster.Image) error
}

func newWorld(t *testing.T) world {
	t.Helper()
	simtest.Binary(t)
	c, err := sim.Start(t.Context(), sim.Options{Nodes: 2, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("the cluster left something behind: %v", err)
		}
	})
	w := world{config: c.RESTConfig(), load: c.LoadImage, file: filepath.Join(t.TempDir(), "kubeconfig")}
	if w.client, err = kubernetes.NewForConfig(w.config); err != nil {
		t.Fatal(err)
	}
	if w.subject, err = defects.Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for _, image := range []cluster.Image{w.subject.Image(), agentpod.ImageOf(w.subject.Agent)} {
		if err := c.LoadImage(t.Context(), image); err != nil {
			t.Fatal(err)
		}
	}
	writeKubeconfig(t, w.file, w.config)
	return w
}

// writeKubeconfig writes the kubeconfig file of a user.
func writeKubeconfig(t *testing.T, file string, c *rest.Config) {
	t.Helper()
	err := clientcmd.WriteToFile(api.Config{
		Clusters: map[string]*api.Cluster{"c": {Server: c.Host, CertificateAuthorityData: c.CAData, CertificateAuthority: c.CAFile}},
		AuthInfos: map[string]*api.AuthInfo{"u": {
			Token: c.BearerToken, ClientCertificateData: c.CertData, ClientKeyData: c.KeyData, ClientCertificate: c.CertFile, ClientKey: c.KeyFile,
		}},
		Contexts:       map[string]*api.Context{"shared": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "shared",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
}

// start uses the cluster, as the user of a kubeconfig file.
func (w *world) start(t *testing.T, o kubeconfig.Options) (cluster.Cluster, error) {
	t.Helper()
	if o.Kubeconfig == "" {
		o.Kubeconfig = w.file
	}
	o.AgentImage = agentpod.Image
	target, err := kubeconfig.Choose(o)
	if err != nil {
		t.Fatal(err)
	}
	if target.Context != "shared" || target.Server == "" {
		t.Errorf("%+v", target)
	}
	return kubeconfig.Start(t.Context(), target)
}

// state returns everything in the cluster, outside of the verification's namespace,
// that a verification could spoil. It leaves out what the cluster changes itself.
func (w *world) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	namespaces, err := w.client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range namespaces.Items {
		fmt.Fprintln(&b, "namespace", n.Name, n.UID, n.ResourceVersion)
	}
	pods, err := w.client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		fmt.Fprintln(&b, "pod", p.Namespace, p.Name, p.UID)
	}
	services, err := w.client.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services.Items {
		fmt.Fprintln(&b, "service", s.Namespace, s.Name, s.UID, s.ResourceVersion)
	}
	roles, err := w.client.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roles.Items {
		fmt.Fprintln(&b, "cluster role", r.Name, r.ResourceVersion)
	}
	nodes, err := w.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Items {
		fmt.Fprintln(&b, "node", n.Name, n.Spec, n.Labels)
	}
	return b.String()
}

func TestCluster(t *testing.T) {
	w := newWorld(t)
	neighbour(t, w.client)
	t.Run("refuses", func(t *testing.T) { refuses(t, &w) })
	t.Run("verifies", func(t *testing.T) { verifies(t, &w) })
}

// verifies checks that in a cluster that others use, a correct server passes and a
// defective one fails, as in other clusters; and that the cluster is as before.
func verifies(t *testing.T, w *world) {
	before := w.state(t)

	c, err := w.start(t, kubeconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // it is also closed below
	t.Run("network", func(t *testing.T) { drivertest.Network(t, c) })
	for _, name := range []string{"", "exits-at-once"} {
		planted, err := defects.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		o, err := w.subject.Options(planted.Deployment("is-left-out"))
		if err != nil {
			t.Fatal(err)
		}
		o.Say, o.AgentImage, o.Image = t.Logf, agentpod.Image, w.subject.Image().Name
		run := defectstest.Verify(t, planted, func(int) (*record.Run, error) { return verify.Run(t.Context(), c, o) })
		if run.Target.Name != c.Namespace()+"/subject" || len(run.Cluster.Nodes) != 2 {
			t.Errorf("%+v %+v", run.Target, run.Cluster)
		}
	}

	// A node must not be touched.
	o, err := w.subject.Options(defects.Deployment{Namespace: "drained"})
	if err != nil {
		t.Fatal(err)
	}
	o.AgentImage = agentpod.Image
	if o.Steps, err = scenario.Parse("node-drain", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Run(t.Context(), c, o); !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "others use too") {
		t.Errorf("node drain: %v", err)
	}
	if err := c.LoadImage(t.Context(), w.subject.Image()); !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "--image") {
		t.Errorf("an image of this machine: %v", err)
	}

	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if after := w.state(t); after != before {
		t.Errorf("the cluster was\n%s\nand is\n%s", before, after)
	}
}

// neighbour creates a namespace of other users, with the names that the target's
// manifests use, too.
func neighbour(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	const theirs = "is-left-out"
	_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: theirs}}, metav1.CreateOptions{})
	if err == nil {
		_, err = client.CoreV1().Services(theirs).Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "subject"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"app": "theirs"}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// refuses checks that an existing namespace is not used, as it would be deleted, and
// that a user who may not create one is told so.
func refuses(t *testing.T, w *world) {
	limited := rest.AnonymousClientConfig(w.config)
	limited.BearerToken = token(t, w.client, &rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"*"}})
	before := w.state(t)
	if _, err := w.start(t, kubeconfig.Options{Namespace: "is-left-out"}); err == nil || !strings.Contains(err.Error(), "is-left-out already") {
		t.Errorf("a namespace of others: %v", err)
	}
	file := filepath.Join(t.TempDir(), "limited")
	writeKubeconfig(t, file, limited)
	if _, err := w.start(t, kubeconfig.Options{Kubeconfig: file}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "may not create namespaces") {
		t.Errorf("a user without the right: %v", err)
	}
	// If an image can't be pulled, the error has the reason, and the namespace is
	// deleted.
	target, err := kubeconfig.Choose(kubeconfig.Options{Kubeconfig: w.file, Context: "shared", Namespace: "ours", AgentImage: "registry.example/none:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubeconfig.Start(t.Context(), target); err == nil || !strings.Contains(err.Error(), "registry.example/none:1") || !strings.Contains(err.Error(), "Image") {
		t.Errorf("no image: %v", err)
	}
	if after := w.state(t); after != before {
		t.Errorf("the cluster was\n%s\nand is\n%s", before, after)
	}
}

// token returns a token of a new user, who has one right in all namespaces.
func token(t *testing.T, client kubernetes.Interface, rule *rbacv1.PolicyRule) string {
	t.Helper()
	const name, namespace = "limited", "default"
	meta := metav1.ObjectMeta{Name: name}
	_, err := client.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	if err == nil {
		_, err = client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{*rule}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made.Status.Token
}
