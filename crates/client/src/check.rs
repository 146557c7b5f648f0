//! The main job: look, ask everybody at once, decide.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use parallax_core::{
    Decision, DnsAnswers, Evidence, HostKey, Look, Observation, Outcome, OwnWord, Policy, ServiceId, Touched,
    VantageId, Verdict, least_asked,
};
use parallax_probe::Prober;
use parallax_proto::hub::{DEFAULT_REPLIES, MOST_REPLIES};
use parallax_proto::{DEFAULT_MAX_AGE, LONGEST_WAIT, Question, Verified, View, contradiction, history_contradiction};
use tokio::time::Instant;

use crate::clock::now;
use crate::course::{Course, Ended};
use crate::federation::Federation;
use crate::gathered::{Answer, Failure, Source};
use crate::hub::HubPoint;
use crate::notary::OldNotary;
use crate::report::{JudgedHostKey, Report};
use crate::vantage::{Deadline, Missing, VantagePoint};

/// How long a check may take when nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of views kept to compare later ones with: a vantage point must not contradict itself.
const REMEMBERED_BYTES: usize = 32 * 1024 * 1024;

/// A node looks at a service at most once in two seconds (`docs/api.md`); the rest is for the clocks.
const NODE_RESTS: Duration = Duration::from_millis(2_100);

/// What is open is closed within this time, or left to end by itself.
const CLOSING: Duration = Duration::from_millis(500);

/// With less time than this left, no new look is waited for.
const LEAST_FOR_A_LOOK: Duration = Duration::from_millis(500);

/// Checks services: looks, asks every vantage point at once, and decides.
///
/// ```no_run
/// use std::sync::Arc;
/// use parallax_client::{Checker, NodeVantage};
/// use parallax_probe::{ProbeSettings, Prober};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let prober = Prober::new(ProbeSettings::default())?;
/// let node = "https://192.0.2.7:8443#27f0…".parse()?;
/// let checker = Checker::builder(prober).vantage(Arc::new(NodeVantage::new(node, None)?)).build();
///
/// if checker.trusts("example.com").await {
///     println!("the server that everybody else reaches");
/// }
/// let verdict = checker.check(&"example.com:8443".parse()?).await;
/// println!("{}: {}", verdict.decision, verdict.rule);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Checker {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Clone)]
pub(crate) struct Inner {
    prober: Prober,
    vantages: Vec<Source>,
    federation: Option<Federation>,
    hubs: Vec<Arc<dyn HubPoint>>,
    tell_private: bool,
    policy: Policy,
    timeout: Duration,
    max_age: Duration,
    replies: Option<usize>,
    waits_for_all: bool,
    public_roots: bool,
    own_word: OwnWord,
    remembered: Arc<Mutex<Remembered>>,
}

/// Sets up a [`Checker`].
pub struct CheckerBuilder {
    inner: Inner,
}

impl CheckerBuilder {
    /// Adds a vantage point; one with an id that is there already is the same one and is asked once.
    pub fn vantage(mut self, vantage: Arc<dyn VantagePoint>) -> Self {
        self.add(Source::Viewing(vantage));
        self
    }

    /// Adds an old notary: the policies `quorum` and `majority` hear it, the others show it.
    pub fn notary(mut self, notary: OldNotary) -> Self {
        self.add(Source::Notary(Arc::new(notary)));
        self
    }

    /// Draws from the mirrors of the federation for every check: three of different regions, networks and operators at
    /// once, up to five where some are late or of no use, nine where answers disagree. They are asked besides the vantage
    /// points that are added by hand, and told in the background what the others answered, unless
    /// [`Federation::with_reports`] says no.
    pub fn federation(mut self, federation: Federation) -> Self {
        self.inner.federation = Some(federation);
        self
    }

    /// Adds a hub, whose peers are asked. The policy `majority` counts each of them, the others the hub as one.
    pub fn hub(mut self, hub: Arc<dyn HubPoint>) -> Self {
        if self.inner.hubs.iter().all(|known| known.id() != hub.id()) {
            self.inner.hubs.push(hub);
        }
        self
    }

    /// Whether hubs are asked about private names and addresses too: for labs and intranets. They are not when nothing is
    /// set.
    pub fn tell_private(mut self, tell: bool) -> Self {
        self.inner.tell_private = tell;
        self
    }

    fn add(&mut self, source: Source) {
        if self.inner.vantages.iter().all(|known| known.id() != source.id()) {
            self.inner.vantages.push(source);
        }
    }

    /// The policy that decides; `evidence` when none is set.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.inner.policy = policy;
        self
    }

    /// How long a check may take; [`DEFAULT_TIMEOUT`] when nothing is set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.inner.timeout = timeout;
        self
    }

    /// How old a look may be that a vantage point answers with, where it agrees: a day when nothing is set. A look that
    /// differs is asked anew in any case.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.inner.max_age = max_age;
        self
    }

    /// Asks only this many of the vantage points, drawn at random, regions as different as possible; of a federation this
    /// many at once, at most nine; and hubs together for as many peers' views ([`DEFAULT_REPLIES`] each when nothing is set).
    pub fn replies(mut self, replies: usize) -> Self {
        self.inner.replies = Some(replies);
        self
    }

    /// Waits for every answer, or until the time is over, even when none could change the decision any more. The rule and
    /// the reasons then do not depend on who answered first, and nobody is left out of the report.
    pub fn wait_for_all(mut self, wait: bool) -> Self {
        self.inner.waits_for_all = wait;
        self
    }

    /// Whether public roots are evidence (`roots = none`: only the network decides).
    pub fn public_roots(mut self, believed: bool) -> Self {
        self.inner.public_roots = believed;
        self
    }

    /// What the user answers for: it is weighed after the policy, and shown in every verdict that it touches.
    pub fn own_word(mut self, word: OwnWord) -> Self {
        self.inner.own_word = word;
        self
    }

    /// The checker.
    pub fn build(self) -> Checker {
        Checker { inner: Arc::new(self.inner) }
    }
}

impl Checker {
    /// A checker that looks with `prober` and asks nobody yet.
    pub fn builder(prober: Prober) -> CheckerBuilder {
        CheckerBuilder {
            inner: Inner {
                prober,
                vantages: Vec::new(),
                federation: None,
                hubs: Vec::new(),
                tell_private: false,
                policy: Policy::default(),
                timeout: DEFAULT_TIMEOUT,
                max_age: DEFAULT_MAX_AGE,
                replies: None,
                waits_for_all: false,
                public_roots: true,
                own_word: OwnWord::default(),
                remembered: Arc::default(),
            },
        }
    }

    /// The same checker under another rule, for a service that has one of its own: it asks the same vantage points, at
    /// most `replies` of them, and remembers together with this one.
    pub fn under(&self, policy: Policy, replies: Option<usize>) -> Checker {
        Checker { inner: Arc::new(Inner { policy, replies, ..Inner::clone(&self.inner) }) }
    }

    /// Looks, asks, decides.
    pub async fn check(&self, service: &ServiceId) -> Verdict {
        self.report(service).await.verdict
    }

    /// Whether a check of this name ends in *trusted*. What is no name is not trusted.
    pub async fn trusts(&self, domain: &str) -> bool {
        match domain.parse() {
            Ok(service) => self.check(&service).await.decision == Decision::Trusted,
            Err(_) => false,
        }
    }

    /// What everybody says, for those who decide themselves. Waits for all, or until the time is over. Nobody is asked
    /// about hosts at which the user accepts every key.
    pub async fn evidence(&self, service: &ServiceId) -> Evidence {
        let Ended { gathered, aftermath, .. } = Course::begin(self, service).run(None).await;
        if let Some(aftermath) = aftermath {
            aftermath.spawn();
        }
        gathered.evidence
    }

    pub(crate) fn prober(&self) -> &Prober {
        &self.inner.prober
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.inner.timeout
    }

    pub(crate) fn own_word(&self) -> &OwnWord {
        &self.inner.own_word
    }

    pub(crate) fn believes_public_roots(&self) -> bool {
        self.inner.public_roots
    }

    pub(crate) fn federation(&self) -> Option<&Federation> {
        self.inner.federation.as_ref()
    }

    /// How many mirrors are asked at once: what the user says, else `least` or what the policy can't do without.
    pub(crate) fn mirrors_at_once(&self, least: usize) -> usize {
        let needed = match &self.inner.policy {
            Policy::Mpic => least_asked(now()),
            Policy::Majority { min_views, .. } => *min_views,
            Policy::Evidence { .. } | Policy::Quorum { .. } | Policy::Unanimous => least,
        };
        self.inner.replies.unwrap_or(needed.max(least))
    }

    /// The verdict with all that led to it.
    pub async fn report(&self, service: &ServiceId) -> Report {
        let begun = Instant::now();
        let policy = &self.inner.policy;
        let early = Some(policy).filter(|_| !self.inner.waits_for_all);
        let Ended { gathered, mirrors, aftermath } = Course::begin(self, service).run(early).await;
        let verdict = policy.decide(&gathered.evidence, now());
        let (verdict, own_word) = self.weigh(&gathered.evidence, verdict);
        if let Some(aftermath) = aftermath {
            // What the user answers for alone is nobody else's business.
            let told = own_word.is_none();
            let reached = gathered.evidence.local().now.address;
            if told { aftermath.reporting(service, reached) } else { aftermath }.spawn();
        }
        let votes = policy.hub_votes(&gathered.evidence);
        Report { own_word, mirrors, votes, ..gathered.into_report(policy.name(), verdict, begun.elapsed()) }
    }

    /// Waits until mirrors of the federation have been told of the checks so far, or this time is over: for programs that
    /// end after a check. No verdict waits for it.
    pub async fn settle(&self, limit: Duration) {
        if let Some(federation) = &self.inner.federation {
            federation.settle(limit).await;
        }
    }

    /// The host keys that my own look met in a report about an SSH service, each judged by itself. The user's own word
    /// counts for exactly the key that it names; the verdicts about the others are the policy's own.
    pub fn judge_host_keys(&self, report: &Report) -> Vec<JudgedHostKey> {
        let mine = report.evidence.local().now.proved().into_iter().flat_map(|met| &met.host_keys);
        let about = |key: &HostKey| {
            let evidence = report.evidence.about_host_key(key.kind)?;
            let without = self.inner.policy.decide(&evidence, now());
            let (verdict, touched) = self.weigh(&evidence, without.clone());
            let accepted = touched.is_some_and(|touched| touched.holds);
            Some(JudgedHostKey { key: key.clone(), verdict: if accepted { verdict } else { without }, accepted })
        };
        mine.filter_map(about).collect()
    }

    /// The verdict under the user's own word, where there is one.
    fn weigh(&self, evidence: &Evidence, verdict: Verdict) -> (Verdict, Option<Touched>) {
        match self.inner.own_word.about(evidence.service()) {
            Some(accepted) => {
                let (verdict, touched) = accepted.weigh(verdict, &evidence.local().now);
                (verdict, Some(touched))
            }
            None => (verdict, None),
        }
    }

    /// Closes what is open at hubs, so that this key has one channel fewer there. It takes no longer than half a second; the
    /// next check opens another one.
    pub async fn close(&self) {
        let closing = join_all(self.inner.hubs.iter().map(|hub| hub.close()));
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }

    pub(crate) fn hubs(&self) -> &[Arc<dyn HubPoint>] {
        &self.inner.hubs
    }

    pub(crate) fn tells_private(&self) -> bool {
        self.inner.tell_private
    }

    pub(crate) fn max_age(&self) -> Duration {
        self.inner.max_age
    }

    /// How many views each hub is asked for: together as many as were wanted.
    pub(crate) fn replies_each(&self) -> u16 {
        let wanted = self.inner.replies.unwrap_or(usize::from(DEFAULT_REPLIES) * self.inner.hubs.len());
        u16::try_from(wanted.div_ceil(self.inner.hubs.len().max(1))).unwrap_or(u16::MAX).clamp(1, MOST_REPLIES)
    }

    /// The own look, shared by everybody who has to compare with it; it ends with the deadline at the latest.
    pub(crate) fn local_look(&self, service: &ServiceId, deadline: Deadline) -> LocalLook {
        let (prober, service) = (self.inner.prober.clone(), service.clone());
        let look = async move {
            let look = tokio::time::timeout_at(deadline.instant(), prober.look(&service)).await;
            Arc::new(look.unwrap_or_else(|_| Look {
                dns: DnsAnswers::default(),
                now: Observation::failed(now(), None, Outcome::Timeout),
            }))
        };
        look.boxed().shared()
    }

    /// Those who are asked where all answers are waited for: the listed, and mirrors that are drawn for this service.
    pub(crate) fn draw_for(&self, service: Option<&ServiceId>) -> Vec<Source> {
        let mut drawn = self.draw();
        let federation = self.federation().zip(service).filter(|(federation, service)| federation.asks_about(service));
        if let Some((federation, service)) = federation {
            drawn.extend(federation.draw_hedged(service).into_iter().map(|mirror| Source::Viewing(mirror)));
        }
        drawn
    }

    /// Those of the listed who are asked. A draw takes a region that is not there yet before one that is.
    pub(crate) fn draw(&self) -> Vec<Source> {
        let all = &self.inner.vantages;
        let Some(wanted) = self.inner.replies.filter(|wanted| *wanted < all.len()) else { return all.clone() };
        let mut keyed: Vec<_> = all.iter().map(|vantage| (random::<8>(), vantage)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let mut drawn: Vec<Source> = Vec::new();
        while drawn.len() < wanted {
            let new_region =
                keyed.iter().position(|(_, vantage)| drawn.iter().all(|other| other.region() != vantage.region()));
            if keyed.is_empty() {
                break;
            }
            let (_, vantage) = keyed.remove(new_region.unwrap_or(0));
            drawn.push(vantage.clone());
        }
        drawn
    }
}

pub(crate) type LocalLook = Shared<BoxFuture<'static, Arc<Look>>>;

/// A nonce that nobody can have seen before.
pub(crate) fn nonce() -> String {
    random::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The generator of aws-lc fails only when the system has no entropy at all; a fixed nonce would then fail the check
    // of no honest answer, and replay is still bounded by the life of a view.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

/// One vantage point's part of a check.
pub(crate) struct Ask {
    pub(crate) inner: Arc<Inner>,
    pub(crate) vantage: Arc<dyn VantagePoint>,
    pub(crate) service: ServiceId,
    pub(crate) local: LocalLook,
    /// When the check began.
    pub(crate) begun: Instant,
    pub(crate) deadline: Deadline,
}

impl Ask {
    pub(crate) async fn run(self) -> Result<Answer, Failure> {
        let mut view = self.first_view().await?;
        if outlives_its_record(view.content()) {
            view = self.renewed(None).await?;
        }
        let local = self.local.clone().await;
        if local.now.outcome == Outcome::NotTls && view.content().now.proved().is_some() && self.is_from_before(&view) {
            view = self.looked_again(view).await?;
        }
        let mut there = None;
        if let Some(address) = differing_address(&local.now, view.content()) {
            (view, there) = self.cross_check(view, address).await?;
        }
        if let Some(found) = there.as_ref().and_then(|there| history_contradiction(&view, there)) {
            return Err(Failure::Lying(Box::new(found)));
        }
        self.compare_with_remembered(&view)?;
        let mut testimony = view.testimony();
        testimony.there = there.as_ref().map(|there| there.content().now.clone());
        Ok(Answer { testimony, view, there })
    }

    /// Has a view that differs looked at again, and at my address, before it counts. A look that was made for this check
    /// is not repeated, nor is one that was led to my address.
    ///
    /// A node that can't look again now says nothing of this moment: the server may have renewed its certificate since.
    async fn cross_check(
        &self,
        view: Verified<View>,
        address: std::net::SocketAddr,
    ) -> Result<(Verified<View>, Option<Verified<View>>), Failure> {
        let old = self.is_from_before(&view);
        let again = async { if old { Some(self.renewed(None).await) } else { None } };
        let seen_there = !old && view.content().now.address == Some(address);
        let at_mine = async { if seen_there { None } else { Some(self.renewed(Some(address)).await) } };
        let (again, at_mine) = tokio::join!(again, at_mine);
        if let (Some(Err(why)), Some(Err(_))) = (&again, &at_mine) {
            return Err(why.clone().into());
        }
        let there = counted(at_mine)?;
        let Some(newer) = counted(again)? else { return Ok((view, there)) };
        self.compare(&view, &newer)?;
        Ok((newer, there))
    }

    /// Has a view looked at again that met TLS where I do not: the server may have ceased to speak it since.
    async fn looked_again(&self, view: Verified<View>) -> Result<Verified<View>, Failure> {
        let newer = self.renewed(None).await?;
        self.compare(&view, &newer)?;
        Ok(newer)
    }

    /// A look made for this check. A node rests between two looks, and answers with the one before meanwhile: where there
    /// is time, the rest is waited out.
    async fn renewed(&self, address: Option<std::net::SocketAddr>) -> Result<Verified<View>, Missing> {
        let view = self.question(Duration::ZERO, address).await?;
        let rest = NODE_RESTS.saturating_sub(age(view.content()));
        if !self.is_from_before(&view) || self.deadline.left() < rest + LEAST_FOR_A_LOOK {
            return Ok(view);
        }
        tokio::time::sleep(rest).await;
        self.question(Duration::ZERO, address).await
    }

    /// Whether the look of a view that has just come was made before this check, by the vantage point's own two stamps.
    fn is_from_before(&self, view: &Verified<View>) -> bool {
        age(view.content()) > self.begun.elapsed()
    }

    /// The first answer; a look that was still going on is waited for once more while there is time.
    async fn first_view(&self) -> Result<Verified<View>, Missing> {
        let view = self.question(self.inner.max_age, None).await?;
        if view.content().now.outcome != Outcome::Pending || self.deadline.left() < Duration::from_secs(1) {
            return Ok(view);
        }
        Ok(self.question(self.inner.max_age, None).await.unwrap_or(view))
    }

    async fn question(
        &self,
        max_age: Duration,
        address: Option<std::net::SocketAddr>,
    ) -> Result<Verified<View>, Missing> {
        let address = address.map(|address| address.ip());
        let question = Question { address, ..ordinary_question(self.service.clone(), max_age, self.deadline) };
        let answer = self.vantage.view(question, self.deadline);
        tokio::time::timeout_at(self.deadline.instant(), answer).await.unwrap_or(Err(Missing::Timeout))
    }

    fn compare(&self, one: &Verified<View>, other: &Verified<View>) -> Result<(), Failure> {
        contradiction(one, other).map_or(Ok(()), |found| Err(Failure::Lying(Box::new(found))))
    }

    fn compare_with_remembered(&self, view: &Verified<View>) -> Result<(), Failure> {
        let mut remembered = self.inner.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = remembered.views.get(&(self.vantage.id(), self.service.clone())) {
            self.compare(earlier, view)?;
        }
        remembered.keep(view.clone());
        Ok(())
    }
}

/// The question that a check asks a vantage point. Mirrors quiz one another with the very same.
pub fn ordinary_question(service: ServiceId, max_age: Duration, deadline: Deadline) -> Question {
    Question {
        max_age,
        // A second is left for the way back.
        wait: deadline.left().saturating_sub(Duration::from_millis(500)).clamp(Duration::from_secs(1), LONGEST_WAIT),
        nonce: Some(nonce()),
        ..Question::about(service)
    }
}

/// The newest view of each vantage point and service.
#[derive(Default)]
struct Remembered {
    views: HashMap<(VantageId, ServiceId), Verified<View>>,
    bytes: usize,
}

impl Remembered {
    /// When full it begins anew: what is lost is a chance to catch a liar, not a check.
    fn keep(&mut self, view: Verified<View>) {
        let size = |view: &Verified<View>| view.signed().body.len();
        if self.bytes + size(&view) > REMEMBERED_BYTES {
            *self = Self::default();
        }
        self.bytes += size(&view);
        let key = (view.content().vantage, view.content().service.clone());
        if let Some(earlier) = self.views.insert(key, view) {
            self.bytes -= size(&earlier);
        }
    }
}

/// A cross-check that was not answered is silence; one that was answered wrongly drops the vantage point.
fn counted(answer: Option<Result<Verified<View>, Missing>>) -> Result<Option<Verified<View>>, Missing> {
    match answer {
        Some(Err(missing)) if missing.is_dropped() => Err(missing),
        Some(Ok(view)) => Ok(Some(view)),
        Some(Err(_)) | None => Ok(None),
    }
}

/// My address, where a view's look shows another key than mine.
fn differing_address(local: &Observation, view: &View) -> Option<std::net::SocketAddr> {
    let (mine, other) = (local.proved()?, view.now.proved()?);
    if other.shows(mine.key) { None } else { local.address }
}

/// Whether a look is told again after the owner's record in it has run out. Nodes look anew by themselves; for one that
/// does not, the deleted record would go on vouching.
fn outlives_its_record(view: &View) -> bool {
    let remembers = view.authority.iter().any(|entry| !entry.record.is_empty());
    view.dns.record_life(remembers).is_some_and(|life| age(view) > life + NODE_RESTS)
}

/// How old the look of a view was when the view was made.
fn age(view: &View) -> Duration {
    view.issued_at.since(view.now.at)
}
