/* HEAD, jobs, blobs and collection, when the answer to a compare-and-swap may be lost and the request
 * may land late. The log is not here (log.pml), nor what the rows say (rows.pml).
 *
 * Checked in every reachable state:
 *   Blobs     everything reachable from HEAD exists: data, manifest, lists of retired objects;
 *   Grace     what a retired list names exists until its grace is over;
 *   JobExact  a job that was aborted, or removed by a take-over, never commits; none commits twice;
 *   Restart   a reader that misses a blob finds a newer version of HEAD.
 */
#ifndef JOBS
#define JOBS 2        /* job ids 1 .. JOBS; job 0 made the first manifest */
#endif
#ifndef VERSIONS
#define VERSIONS 6
#endif
#ifndef WINDOW
#define WINDOW 4      /* parents that HEAD lists */
#endif
#ifndef RESENDS
#define RESENDS 0
#endif
#define ATTEMPTS 3    /* changes that one node tries on one version of HEAD, less one */
#define SENDERS 2
#ifndef EPOCHS
#define EPOCHS 2
#endif
#define BIT(b) (1<<(b))

/* What HEAD says at each version: a view of HEAD is a version. */
byte jobs[VERSIONS], next_job[VERSIONS], epoch[VERSIONS];
byte data[VERSIONS];              /* data blobs that the manifest names: a set of jobs */
byte man[VERSIONS];               /* the manifest: that of a job */
byte retired[VERSIONS];           /* lists of retired objects: a set of jobs */

/* Objects that exist: sets of jobs that wrote them. */
byte has_data = 1, has_man = 1, has_list;
byte man_version[JOBS+1];         /* in the name of the manifest */
byte list_data[JOBS+1], list_man[JOBS+1];   /* what the list names: data blobs, one manifest */
byte grace_over;

/* Of each job. */
byte kind[JOBS+1], job_epoch[JOBS+1];
byte aborted, committed;

#define ADD 1                     /* a fold or an import: adds a blob */
#define REWRITE 2                 /* compact: replaces all that it was based on */
#define IMPORT 3                  /* adds a blob, and survives take-overs */

#define REGISTER 1
#define COMMIT 2
#define ABORT 3
#define TAKE 4
#define DROP 5
#define COMMIT_ARG(j, names) (((names)<<4) | (j))      /* a job, the data that its manifest names */
#define v1 (version+1)

hidden byte gj, gk;               /* loop counters */
#define seen view[me]
#define held view[3]
#define NONE 255
byte view[4];                     /* the version that each node, the collector and the reader hold */

/* Nobody looks at versions before the oldest view any more: states that differ there are one. */
inline forget_old() {
  gk = version;
  for (gj : 0 .. 3) { if :: view[gj] < gk -> gk = view[gj] :: else fi }
  gj = 0;
  do
  :: gj < gk ->
     jobs[gj] = 0; next_job[gj] = 0; epoch[gj] = 0; data[gj] = 0; man[gj] = 0; retired[gj] = 0; author[gj] = 0; gj++
  :: else -> break
  od;
  author[gj] = 0; gj = 0; gk = 0
}

inline apply_change(op, arg) {
  jobs[v1] = jobs[version]; next_job[v1] = next_job[version]; epoch[v1] = epoch[version];
  data[v1] = data[version]; man[v1] = man[version]; retired[v1] = retired[version];
  if
  :: op == REGISTER ->
     kind[next_job[v1]] = arg; job_epoch[next_job[v1]] = epoch[v1];
     jobs[v1] = jobs[v1] | BIT(next_job[v1]); next_job[v1]++
  :: op == COMMIT ->
     assert((aborted & BIT(arg & 15)) == 0);                   /* JobExact */
     assert((committed & BIT(arg & 15)) == 0);
     assert(kind[arg & 15] == IMPORT || job_epoch[arg & 15] == epoch[v1]);
     committed = committed | BIT(arg & 15);
     jobs[v1] = jobs[v1] & ~BIT(arg & 15);
     data[v1] = (arg >> 4) & 15; man[v1] = arg & 15;
     retired[v1] = retired[v1] | BIT(arg & 15)
  :: op == ABORT -> aborted = aborted | BIT(arg); jobs[v1] = jobs[v1] & ~BIT(arg)
  :: op == TAKE ->
     epoch[v1]++;
     for (gj : 1 .. JOBS) {
       if
       :: (jobs[v1] & BIT(gj)) && kind[gj] != IMPORT -> aborted = aborted | BIT(gj); jobs[v1] = jobs[v1] & ~BIT(gj)
       :: else
       fi
     }
     gj = 0
  :: op == DROP -> retired[v1] = retired[v1] & ~BIT(arg)
  fi
}

#include "swap.pml"

/* Late requests, and the changes whose authors do nothing with the outcome: these need no answer, so
 * that they happen at once or never. A foreign abort follows a clock that may be wrong. */
proctype Others() {
  byte j;
end: do
  :: atomic { land_swap(0) }
  :: atomic { land_swap(1) }
  :: atomic { version < VERSIONS-1 && epoch[version] < EPOCHS-1 -> change_head(TAKE, 0, 0) }
  :: atomic { version < VERSIONS-1 && jobs[version] != 0 ->
       if :: jobs[version] & 2 -> j = 1 :: jobs[version] & 4 -> j = 2 :: jobs[version] & 8 -> j = 3 fi;
       change_head(ABORT, j, 0); j = 0 }
  :: atomic { version < VERSIONS-1 && (retired[version] & grace_over) != 0 ->
       if
       :: retired[version] & grace_over & 2 -> j = 1
       :: retired[version] & grace_over & 4 -> j = 2
       :: retired[version] & grace_over & 8 -> j = 3
       fi;
       change_head(DROP, j, 0); j = 0 }
  od
}

inline forget() { verdict = 0; found = 0; resends = 0 }

/* Its own objects, when it is certain that its job will never commit. */
inline clean_up() {
  has_data = has_data & ~BIT(job); has_man = has_man & ~BIT(job); has_list = has_list & ~BIT(job)
}

/* A node that runs one job at a time. `seen`: the version of HEAD that it holds. `based`,
 * `inputs`: the manifest that its job read, and the data that it names. That the answer to a
 * registration is lost needs no branch: nobody works for a job that nobody knows of, and a foreign
 * abort removes it. */
proctype Node(byte me) {
  byte job, based, inputs, attempt, resends, verdict, found, k, names;
  bool wrote;
end: do
  :: atomic { seen != version -> seen = version; attempt = 0; forget_old() }           /* GET HEAD */

  :: atomic { job == 0 && seen == version && next_job[seen] <= JOBS && seen < VERSIONS-1 ->
       if :: k = ADD :: k = REWRITE :: k = IMPORT fi;
       job = next_job[seen];
       change_head(REGISTER, k, 0); seen = version; attempt = 0; based = man[seen]; inputs = data[seen]; k = 0 }

  :: atomic { job != 0 && !wrote -> wrote = true; has_data = has_data | BIT(job) }

  :: atomic { job != 0 && wrote && attempt < ATTEMPTS-1 && seen < VERSIONS-1 &&
#ifndef COMMIT_UNLISTED
              (jobs[seen] & BIT(job)) &&                       /* fault: commits although it is not listed */
#endif
              (kind[job] == IMPORT || epoch[seen] == job_epoch[job]) &&
              (kind[job] != REWRITE || man[seen] == based) ->
       /* The manifest, under a name with the version that it is for, and the list of what it replaces. */
#ifdef OLD_MANIFEST
       names = (kind[job] == REWRITE -> 0 : inputs) | BIT(job);     /* fault: the inputs of an older manifest */
#else
       names = (kind[job] == REWRITE -> 0 : data[seen]) | BIT(job);
#endif
#ifdef REUSE_MANIFEST
       if :: (has_man & BIT(job)) == 0 -> man_version[job] = seen+1 :: else fi;   /* fault: the same name on a new base */
       if :: man_version[job] == seen+1 -> has_man = has_man | BIT(job) :: else fi;
#else
       man_version[job] = seen+1; has_man = has_man | BIT(job);
#endif
       has_list = has_list | BIT(job); list_data[job] = data[seen] & ~names; list_man[job] = man[seen]
     }
     swap_head(COMMIT, COMMIT_ARG(job, names));
     atomic {
       names = 0;
       if
       :: verdict == COMMITTED -> seen = found; forget_old(); attempt = 0; job = 0; wrote = false; based = 0; inputs = 0
       :: verdict == LOST                                      /* look again, then try on the new base or give up */
       :: verdict == UNKNOWN ->
#ifdef CLEAN_ON_UNKNOWN
          clean_up();                                          /* fault */
#endif
#ifdef GC_ON_UNKNOWN
          has_data = has_data & ~list_data[job];               /* fault: as if it had been committed */
#endif
          job = 0; wrote = false; based = 0; inputs = 0                    /* keep every object; whoever sweeps decides */
       fi;
       forget()
     }

  /* Not listed any more, and no attempt of mine is open: removed by somebody else. */
  :: atomic { job != 0 && (jobs[seen] & BIT(job)) == 0 && seen > 0 -> clean_up(); job = 0; wrote = false; based = 0; inputs = 0 }
  od
}

/* Collects by a view of HEAD that was read, however old. */
proctype Collector() {
  byte me = 2, j, kept, listed;
end: do
  :: atomic { seen != version -> seen = version; forget_old() }

  /* Orphans under d/<job>/. */
  :: atomic {
       select(j : 0 .. JOBS);
       if
       :: j < next_job[seen] &&
#ifndef GC_TRUSTS_LIST
          (jobs[seen] & BIT(j)) == 0 &&                        /* fault: deletes what a listed job wrote */
#endif
          ((has_data | has_list) & BIT(j)) ->
          kept = data[seen]; listed = 0;
#ifndef SWEEP_RETIRED
          /* What HEAD names besides the manifest: the lists of retired objects, and what they name. */
          listed = retired[seen];
          for (gk : 1 .. JOBS) { if :: retired[seen] & BIT(gk) -> kept = kept | list_data[gk] :: else fi }
          gk = 0;
#endif
          if :: (kept & BIT(j)) == 0 -> has_data = has_data & ~BIT(j) :: else fi;
          if :: (listed & BIT(j)) == 0 -> has_list = has_list & ~BIT(j) :: else fi
       :: else
       fi;
       kept = 0; listed = 0; j = 0
     }

  /* Manifests made for this version or an older one that never became HEAD's, or are not any more. */
  :: atomic {
       select(j : 0 .. JOBS);
       if
       :: (has_man & BIT(j)) && man_version[j] <= seen && man[seen] != j ->
          for (gk : 1 .. JOBS) { if :: (retired[seen] & BIT(gk)) && list_man[gk] == j -> kept = 1 :: else fi }
          gk = 0;
          if :: !kept -> has_man = has_man & ~BIT(j) :: else fi
       :: else
       fi;
       kept = 0; j = 0
     }

  /* A retired list: its grace ends and its objects go; later it leaves HEAD. */
  :: atomic {
       select(j : 1 .. JOBS);
       if
       :: (retired[seen] & BIT(j)) && (has_list & BIT(j)) ->
          grace_over = grace_over | BIT(j);
          has_data = has_data & ~list_data[j]; has_man = has_man & ~BIT(list_man[j])
       :: else
       fi;
       j = 0
     }
  od
}

/* Reads what HEAD names, object by object. */
proctype Reader() {
  byte j;
again:
  atomic { held = version; j = 0; forget_old() }
  do
  :: atomic { j <= JOBS ->
       if
       :: (j == man[held] && (has_man & BIT(j)) == 0) || ((data[held] & BIT(j)) && (has_data & BIT(j)) == 0) ->
          assert(version != held);                             /* Restart */
          goto again
       :: else -> j++
       fi }
  :: atomic { j > JOBS -> held = NONE; j = 0; break }
  od
}

/* Changes no state, so it costs steps and no states. */
proctype Monitor() {
  byte j;
end: do
  :: d_step {
       assert((data[version] & ~has_data) == 0);
       assert(has_man & BIT(man[version]));
       assert((retired[version] & ~has_list) == 0);
       for (j : 1 .. JOBS) {
         assert((retired[version] & ~grace_over & BIT(j)) == 0 || ((list_data[j] & ~has_data) == 0 && (has_man & BIT(list_man[j]))))
       }
       j = 0
     }
  od
}

init { atomic {
  data[0] = 1; next_job[0] = 1; view[3] = NONE;
  run Others(); run Node(0); run Node(1); run Collector();
#ifdef READER
  run Reader();
#endif
  run Monitor();
} }
