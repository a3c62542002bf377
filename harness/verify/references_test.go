package verify

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// What a pod can do without is not missing.
func TestReferences(t *testing.T) {
	yes, no := true, false
	named := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	got := references(&corev1.PodSpec{
		ServiceAccountName: "sa",
		Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("a"), Optional: &yes}}},
			{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "b", Optional: &no}}},
		},
		InitContainers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("c")}}}}},
		Containers: []corev1.Container{{
			EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("d"), Optional: &yes}}},
			Env:     []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: named("e")}}}},
		}},
	})
	want := []reference{{"ServiceAccount", "sa"}, {"Secret", "b"}, {"ConfigMap", "c"}, {"Secret", "e"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}
