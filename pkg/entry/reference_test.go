package entry

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAReferenceHasTheFormOfItsCloud(t *testing.T) {
	for _, row := range []struct {
		good  Reference
		wrong map[Part][]string
	}{
		{Reference{Cloud: "gcp", Name: "s", Location: "project", Region: "northamerica-northeast1", Version: "7"}, map[Part][]string{
			NamePart: {"", "a/b", long(256)}, LocationPart: {"", "../p", "p/locations/europe-west3", long(101)},
			RegionPart: {"global", "evil.example", "us-central1/x", "europe-west"}, VersionPart: {"7/x", long(256)},
		}},
		{Reference{Cloud: "aws", Name: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/b-AbCdEf", Location: "eu-west-1",
			Version: "AWSCURRENT", Role: "arn:aws:iam::123456789012:role/reader"}, map[Part][]string{
			NamePart: {"", "a b", long(701)}, LocationPart: {"evil.example/"}, VersionPart: {"a b", long(257)},
			RolePart: {"reader", "arn:aws:iam::123456789012:role/" + long(610)},
		}},
		{Reference{Cloud: "azure", Name: "s", Location: "https://v.vault.azure.net"}, map[Part][]string{
			NamePart: {"", "a/b", long(128)},
			LocationPart: {
				"", "v", "http://v.vault.azure.net", "https://v.vault.azure.net.evil.example", "https://evil.example/v.vault.azure.net",
				"https://user@v.vault.azure.net", "https://v.vault.azure.net:444", "https://v.vault.azure.net/x", "https://v.vault.azure.net?x",
				"https://.vault.azure.net", "https://evil.example#.vault.azure.net",
			},
			VersionPart: {"1/2", long(65)},
		}},
	} {
		part, reason := row.good.Fault()
		assert.Empty(t, string(part)+reason)
		for wrong, values := range row.wrong {
			for _, value := range values {
				ref := row.good
				*map[Part]*string{NamePart: &ref.Name, LocationPart: &ref.Location, RegionPart: &ref.Region, VersionPart: &ref.Version, RolePart: &ref.Role}[wrong] = value
				part, reason := ref.Fault()
				assert.Equal(t, wrong, part, "%s %s %q", ref.Cloud, wrong, value)
				assert.NotEmpty(t, reason)
			}
		}
	}
}

func long(length int) string { return strings.Repeat("x", length) }

func TestAReferenceMayBeAsLongAsItsCloudAllows(t *testing.T) {
	for _, good := range []Reference{
		{Cloud: "gcp", Name: long(255), Location: long(100), Version: long(255)},
		{Cloud: "aws", Name: long(700), Version: long(256), Role: "arn:aws-us-gov:iam::123456789012:role/" + long(576)},
		{Cloud: "azure", Name: long(127), Location: "https://" + long(127) + ".vault.usgovcloudapi.net/", Version: long(64)},
	} {
		part, reason := good.Fault()
		assert.Empty(t, string(part)+reason, good.Cloud)
	}
}

// TestARegionIsARegion: it becomes part of a host, to which the pod's token is sent.
func TestARegionIsARegion(t *testing.T) {
	for _, good := range []string{
		"us-east-1", "ap-southeast-7", "mx-central-1", "cn-northwest-1", "us-gov-west-1",
		"us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1",
	} {
		assert.True(t, IsAWSRegion(good), good)
	}
	for _, bad := range []string{"s3", "s3-us-west-2", "s3-accesspoint", "us-east-1a", "US-EAST-1", "us-east-", "us_east_1", "us-east-1.evil", "-1", "us-east-1\n"} {
		assert.False(t, IsAWSRegion(bad), bad)
		part, _ := Reference{Cloud: "aws", Name: "s", Location: bad}.Fault()
		assert.Equal(t, LocationPart, part, bad)
	}
	assert.False(t, IsAWSRegion(""))
}
