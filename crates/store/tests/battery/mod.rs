//! What every engine must do, written once. An engine implements [`Engine`] and says `battery!(ItsName)`; each case then
//! runs on a database of its own.

pub(crate) mod history;
pub(crate) mod looks;
pub(crate) mod properties;
pub(crate) mod records;

use parallax_store::{HistoryStore, Records};

/// A database that can be opened again and again.
pub(crate) trait Engine: Sized + Send {
    type Store: HistoryStore + Records + 'static;

    /// An empty database.
    fn fresh() -> Self;

    /// Opens it.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;

    /// Closes it, with everything that was asked for done.
    fn close(store: Self::Store) -> impl Future<Output = ()> + Send;
}

/// Runs the cases on one engine.
macro_rules! battery {
    ($engine:ty) => {
        $crate::battery::battery!($engine, history:
            an_unknown_service_is_not_known,
            everything_in_a_look_comes_back,
            a_year_of_alternating_certificates_is_two_rows,
            a_gap_opens_a_second_span,
            a_late_look_joins_its_span_and_is_not_the_newest,
            a_failed_look_is_the_newest_and_keeps_the_history,
            two_looks_of_one_moment_keep_the_first,
            importing_twice_changes_nothing,
            an_import_and_looks_join,
            an_empty_import_makes_a_service_known,
            listings_filter_and_page_in_order,
            a_listing_without_room_is_empty,
            histories_come_page_by_page,
            forgetting_forgets_everything,
            changes_of_one_service_keep_the_order_of_the_calls,
            a_thousand_services_at_once,
            a_dropped_future_takes_nothing_back,
            a_flood_of_certificates_washes_nothing_away,
            histories_survive_reopening,
        );
        $crate::battery::battery!($engine, records:
            a_record_is_written_read_and_deleted,
            only_the_expected_version_is_replaced,
            of_many_writers_one_wins,
            ranges_are_in_byte_order_and_end_before_their_end,
            pages_of_a_range_meet_without_gap_or_overlap,
            a_range_is_bounded_in_bytes,
            namespaces_do_not_mix,
            hostile_keys_are_only_keys,
            unfit_keys_and_contents_are_refused,
            records_survive_reopening,
        );
        $crate::battery::battery!($engine, properties: stores_what_the_history_in_memory_says, reopened_or_not_it_is_the_same,);
    };
    ($engine:ty, $module:ident: $($case:ident,)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::battery::$module::$case(<$engine as crate::battery::Engine>::fresh()).await;
                }
            )*
        }
    };
}

pub(crate) use battery;
