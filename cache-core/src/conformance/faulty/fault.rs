//! Promises that an implementation can break.

/// One broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// None: everything is delegated as it is.
    None,

    // Ingesters and export targets.
    /// The empty key or name is accepted.
    AcceptsEmptyKey,
    /// A dead lease is accepted, when an ingest begins and when it commits.
    AcceptsDeadLease,
    /// The lease of another manager is accepted.
    AcceptsForeignLease,
    /// A key can have two writers.
    AllowsSecondWriter,
    /// Content that exists is written again as if it did not.
    OverlooksExistingContent,
    /// A begin that is dropped holds its key for ever.
    DroppedBeginHoldsKey,
    /// A commit that is dropped holds its key for ever.
    DroppedCommitHoldsKey,
    /// A writer that is dropped holds its key for ever.
    DroppedWriterHoldsKey,
    /// A writer that is dropped commits what it has.
    DroppedWriterCommits,
    /// Keys or names that differ in case are one.
    FoldsCaseOfKeys,
    /// What is expected at the beginning is not verified at the end.
    ForgetsWhatBeginExpected,
    /// The digest that a commit expects is not verified.
    IgnoresDigestOfCommit,
    /// Every commit says that its blob is new.
    SaysNewAlways,
    /// No blob gets the labels of its commit.
    ForgetsLabelsOfCommit,
    /// Labels out of bounds are dropped in silence at the commit.
    DropsLongLabels,
    /// The empty blob is refused.
    RefusesEmptyBlob,
    /// Blobs are hashed by SHA-256 alone.
    KnowsOnlySha256,
    /// A commit leaves an ingest under its key.
    CommitLeavesIngest,
    /// A commit that is refused keeps the bytes, although they are as many as expected.
    RefusedCommitKeepsBytes,
    /// Bytes are visible as soon as they are written.
    VisibleBeforeCommit,
    /// The offset of a writer is always zero.
    OffsetStandsStill,
    /// An abort of a writer keeps the bytes.
    AbortKeepsBytes,
    /// An abort of a writer commits the bytes.
    AbortCommits,
    /// An abort by key answers that there was an ingest.
    AbortSaysYesAlways,
    /// A resumed ingest begins at zero.
    ResumeForgetsOffset,
    /// A resumed ingest continues what was kept for another blob.
    ResumesAnything,
    /// A fresh ingest continues what was kept.
    FreshStartResumes,
    /// A lease holds neither the ingest nor the blob that is made under it.
    LeaseNotAttached,
    /// One ingest is not listed.
    OmitsIngest,

    // Providers, readers and managers of content.
    /// What is not there opens as an empty blob.
    OpensAnything,
    /// A blob opens only for a descriptor with its size.
    NeedsSizeToOpen,
    /// The last byte of every range is missing.
    TruncatesReads,
    /// Every range is read from the beginning.
    ReadsFromBeginning,
    /// A reader opens its blob again for every read.
    ReaderDiesWithBlob,
    /// The size of every reader is zero.
    ReaderSizeIsZero,
    /// Readers name a local file that holds something else.
    NamesAnotherFile,
    /// The info of a blob has no labels.
    InfoForgetsLabels,
    /// A change of labels removes all others.
    ChangeReplacesAllLabels,
    /// A change of labels that is refused has made part of itself.
    ChangesLabelsOneByOne,
    /// Labels of what is not there are changed with success.
    ChangesLabelsOfNothing,
    /// One blob is not listed.
    OmitsBlob,

    // Metadata stores.
    /// Every record has the same revision.
    RevisionStandsStill,
    /// Revisions fall.
    RevisionCountsDown,
    /// No record tells its index entries.
    ForgetsIndexEntries,
    /// A put leaves the earlier index entries.
    PutKeepsIndexEntries,
    /// Long values are cut.
    CutsValues,
    /// Values that are no text are changed.
    ValuesAreText,
    /// Every precondition holds.
    IgnoresPreconditions,
    /// Preconditions see only what was before the batch.
    ChecksBeforeBatch,
    /// Every value may be taken any number of times.
    IgnoresUniqueness,
    /// Unique values exclude only each other.
    UniquenessForgetsShared,
    /// A deletion does nothing.
    DeletesNoRecord,
    /// A deletion of what is not there is refused.
    DeleteNeedsRecord,
    /// The changes of a batch are made one by one until one is refused.
    BatchNotAtomic,
    /// The changes of a batch are made in the other order.
    BatchBackwards,
    /// A batch without changes is refused.
    RefusesEmptyBatch,
    /// A refusal names no key.
    RefusalNamesNoKey,
    /// Some characters of a prefix mean any others.
    PrefixesArePatterns,
    /// A prefix finds only the value that it is.
    PrefixMeansExact,
    /// A value finds also those that start with it.
    ExactMeansPrefix,
    /// One record is not found.
    OmitsFound,
    /// What is found is not sorted.
    FindsUnsorted,
    /// What is found is told twice.
    FindsTwice,

    // Fetchers and resolvers.
    /// A reader gives nothing after the first stream.
    ReadsOnce,
    /// A name that is not there resolves all the same.
    ResolvesAnything,
    /// A name resolves to a descriptor without a size.
    ResolvesWithoutSize,

    // Collectors.
    /// Nothing is ever freed.
    CollectsNothing,
    /// What is leased is freed too; see [`Faulty::overlooking`](crate::conformance::Faulty::overlooking).
    CollectsLeased,
    /// One blob more is counted than was freed.
    CountsOneMore,

    // Snapshotters.
    /// A parent that is not there is taken for none.
    AcceptsMissingParent,
    /// Snapshots that are not committed can be parents.
    BuildsOnAnyKind,
    /// No snapshot has its parent under it.
    ForgetsParent,
    /// A snapshot has its parent's parent under it.
    SkipsLayer,
    /// A key that is taken can be prepared again.
    PreparesOverTaken,
    /// A view is an active snapshot.
    ViewsAreWritable,
    /// The root of a snapshot has mode 0700.
    PrivateRoot,
    /// The labels of the active snapshot stay at the commit.
    CommitKeepsLabels,
    /// A name that is taken can be committed again.
    CommitsOverTaken,
    /// What is not active can be committed.
    CommitsAnyKind,
    /// What is not there can be committed.
    CommitsNothing,
    /// A committed snapshot has mounts.
    MountsCommitted,
    /// Nothing has a parent in what is told.
    InfoForgetsParent,
    /// Nothing that is changed has another time of its update.
    UpdatesMoveNoTime,
    /// Nothing takes any disk.
    MeasuresNothing,
    /// A parent can be removed.
    RemovesParents,
    /// A removed snapshot is there again.
    RemovesNothing,
    /// One snapshot is not listed.
    OmitsSnapshot,
    /// A commit loses extended attributes.
    LosesAttributes,
    /// A commit loses times.
    LosesTimes,
    /// A commit loses modes.
    LosesModes,
    /// A commit loses owners.
    LosesOwners,
    /// A commit loses files.
    LosesFiles,

    // Mounters.
    /// Every tree is empty.
    MountsNothing,
    /// No tree can be written to.
    MountsReadOnly,
    /// Every tree can be written to.
    MountsReadWrite,
    /// A directory that is not there is mounted as an empty one.
    MountsWhatIsMissing,
    /// What is not known is mounted as nothing.
    MountsUnknownKinds,
    /// Of several layers the first is mounted.
    MountsTopLayer,
    /// No mounts are refused.
    NothingMountsEmpty,
    /// The path of a tree is that of another.
    PathLeadsElsewhere,
    /// Mounts are in the mount table. Needs root.
    MountsAreSeen,
    /// All trees but the first are gone at once.
    TreesDieEarly,

    // Appliers and differs.
    /// No file is made.
    UnpacksNothing,
    /// No file of a compressed layer is made.
    UnpacksOneCompression,
    /// The DiffID that a layer must have is not verified.
    IgnoresExpectedDiffId,
    /// The digest and the size of a blob are not verified.
    TrustsBlobs,
    /// Every failure is called a success.
    SaysUnpacked,
    /// The digest of the blob is given in the place of the DiffID.
    SaysBlobDigest,
    /// The size does not count all that was read.
    ForgetsTrailingBytes,
    /// Every layer is uncompressed.
    IgnoresCompression,
    /// Everything is said to be supported and made as it is without options.
    SupportsEverything,
    /// Times are not bounded.
    IgnoresEpoch,
    /// Only the layer's own compression is made.
    ForgetsVariants,
    /// The lower tree is taken for an empty one.
    ForgetsLower,
    /// The upper tree is compared with itself.
    ComparesUpperAlone,
    /// The trees are exchanged.
    ComparesBackwards,
    /// A tree that is not there is taken for an empty one.
    IgnoresMissingTrees,
    /// The DiffID is that of nothing.
    SaysNoDiffId,
    /// The layer is said to have another blob.
    NamesAnotherBlob,
    /// A file beside the root is made.
    TouchesOutside,

    // Pools and clocks.
    /// One job runs at a time.
    RunsJobsInTurn,
    /// No job runs.
    DropsJobs,
    /// It is always 1970.
    ClockStoppedLongAgo,
    /// A sleep is over at once.
    SleepsEndAtOnce,
    /// No sleep ends.
    SleepsNeverEnd,

    // Locks.
    /// Every holder is a shared one.
    LocksOnlyShared,
    /// Every holder is an exclusive one.
    LocksOnlyExclusive,
    /// No guard lets go.
    NeverUnlocks,
    /// A wait ends at once, with a guard of nothing.
    AcquireDoesNotWait,
    /// A wait that is dropped bars all later ones.
    DroppedWaitHolds,
    /// A look takes the lock for a while.
    LooksByTaking,
    /// A look sees nobody.
    SeesNoHolder,
    /// A look takes a shared holder for an exclusive one.
    SeesOnlyExclusive,

    // Image stores.
    /// A create replaces the name that there is.
    CreateReplaces,
    /// A created name is not kept.
    NamesAreLost,
    /// An update creates the name that is not there.
    UpdateCreates,
    /// An update creates the name again.
    UpdateCreatesAnew,
    /// An update keeps the earlier labels.
    UpdateKeepsLabels,
    /// Names lose the annotations of their target.
    ForgetsTargetFields,
    /// A target that is not there can be named.
    NamesWhatIsMissing,
    /// A name that is not there is found all the same.
    FindsAnyName,
    /// A deleted name lives on.
    DeletesNoName,
    /// Names are not listed in their order.
    ListsUnsorted,
    /// One name is not listed.
    OmitsName,

    // Lease managers.
    /// Leases without a wanted name have the same one.
    FreshLeasesShareAName,
    /// A wanted name that is taken gives the lease that has it.
    GivesNamesTwice,
    /// Every lease is permanent.
    ForgetsLeaseKind,
    /// No lease has labels.
    ForgetsLeaseLabels,
    /// No lease expires.
    ForgetsExpiry,
    /// Every lease expires.
    ExpiresAlways,
    /// A renewal changes nothing.
    RenewsNothing,
    /// What is not there is found all the same.
    FindsAnyLease,
    /// No lease is found by its name.
    FindsNoLease,
    /// The first of the resources is not attached.
    AttachOmitsOne,
    /// Resources are attached to every lease.
    AttachesToEveryLease,
    /// Detaching one resource detaches all.
    DetachesEverything,
    /// One resource is not told.
    OmitsResource,
    /// A deleted lease lives on.
    DeletesNoLease,
    /// A deletion answers that there was something.
    DeleteSaysYesAlways,
    /// Leases that ended are listed.
    ListsDeadLeases,
    /// One lease is not listed.
    OmitsLease,
    /// An abandoned lease lives on.
    AbandonsNothing,
}
