package page

// legend says what the words of the states mean, in the order in which they are shown.
var legend = []struct {
	Badge badge
	Text  string
}{
	{verifiedBadge, "It was asked, and its answer shows that it is of its type."},
	{refutedBadge, "It was asked, and something else has answered. Agents are not told of it."},
	{unverifiedBadge, "It was asked, and no answer has shown yet what it is. Its labels, names and ports say its type."},
	{unaskedBadge, "It is not asked: no rule says how its type proves what it is, or asking is switched off."},
	{candidateBadge, "A Service that may be a back end. It is asked, and listed once it says so itself."},
	{healthyBadge, "Its last health check has succeeded."},
	{unhealthyBadge, "Its last health check has failed; the reason is below the word."},
	{uncheckedBadge, "There was no health check yet, or checks are switched off."},
	{badge{"none", "star", "primary"}, "The one of its type that agents get who ask for the type; the reason is below the word."},
}
