"""The management subset that clients call: ``/mgmt/bpl``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as Parameter

from archiver.model import InvalidInputError, Metadata, NotFoundError
from services.appliance.bodies import listed, names_in
from services.appliance.identity import IDENTITY, VERSION
from services.appliance.names import find, matching, plain
from services.appliance.status import NEVER, PAUSED, Newest, details, status_rows, type_info
from services.common.security import Operator, Reader, View

router = APIRouter(prefix="/bpl", tags=["management"])

_PARTS = ("mgmt", "engine", "etl", "retrieval")
_NO_ENGINE = "forebay archives what its sources send: change that there, or in an archive group of forebay.toml"
Pv = Annotated[str, Parameter(description="name, or glob; several by commas")]
Limit = Annotated[int, Parameter(description="most names; -1 is all")]


@router.get("/getAllPVs")
def get_all_pvs(view: Reader, pv: str | None = None, regex: str | None = None, limit: Limit = -1) -> list[str]:
    """Return the names of all PVs, or of those that match a glob or a regular expression, sorted."""
    names = matching(view, glob=pv or None, regex=regex)
    return names if limit < 0 else names[:limit]


@router.get("/getAllExpandedPVNames")
def get_all_expanded_pv_names(view: Reader) -> list[str]:
    """Return all names under which PVs are found, aliases included."""
    elements = view.elements()
    return sorted({name for element in elements for name in (element.name, *element.metadata.aliases)})


@router.get("/getAllAliases")
def get_all_aliases(view: Reader) -> list[dict[str, str]]:
    """Return each alias, and the PV that it names."""
    return [
        {"aliasName": alias, "srcPVName": element.name}
        for element in view.elements()
        for alias in element.metadata.aliases
    ]


@router.get("/getPVStatus")
def get_pv_status(view: Reader, pv: Pv = "*") -> list[dict[str, str]]:
    """Return how PVs are doing; of a name that is not known, that."""
    return status_rows(view, _named(view, pv))


@router.post("/getPVStatus")
async def post_pv_status(request: Request, view: Reader) -> list[dict[str, str]]:
    """Return how the PVs in the body are doing."""
    return status_rows(view, _named(view, ",".join(await names_in(request))))


@router.get("/getPVTypeInfo")
def get_pv_type_info(view: Reader, pv: str) -> dict[str, Any]:
    """Return what is known of a PV."""
    element = find(view, pv) or view.element(pv)
    return type_info(element, Newest(view, [element.name]))


@router.get("/getPVDetails")
def get_pv_details(view: Reader, pv: str) -> list[dict[str, str]]:
    """Return what is known of a PV, for people."""
    element = find(view, pv) or view.element(pv)
    return details(element, Newest(view, [element.name]))


@router.get("/getStoresForPV")
def get_stores_for_pv(view: Reader, pv: str) -> dict[str, str]:
    """Return where the samples of a PV are: one place, to clients of the appliance."""
    element = find(view, pv) or view.element(pv)
    return {IDENTITY: f"forebay://{element.name}"}


@router.get("/getNeverConnectedPVs")
def get_never_connected_pvs(view: Reader) -> list[dict[str, str]]:
    """Return the PVs of which no sample has come yet."""
    newest = Newest(view)
    waiting = [element.name for element in view.elements() if newest.time_of(element.name) == NEVER]
    return [{"pvName": name, "currentState": "METAINFO_REQUESTED", "appliance": IDENTITY} for name in waiting]


@router.get("/getCurrentlyDisconnectedPVs")
def get_currently_disconnected_pvs(view: Reader) -> list[dict[str, str]]:
    """Return the PVs whose view said last that it cannot be reached."""
    newest = Newest(view)
    return [
        {"pvName": element.name, "instance": IDENTITY, "connectionLostAt": newest.time_of(element.name)}
        for element in view.elements()
        if newest.is_lost(element.name)
    ]


@router.get("/getPausedPVsReport")
def get_paused_pvs_report(view: Reader) -> list[dict[str, str]]:
    """Return the PVs for which archiving was switched off."""
    newest = Newest(view)
    paused = [element.name for element in view.elements() if newest.status_of(element.name) == PAUSED]
    return [{"pvName": name, "instance": IDENTITY} for name in paused]


@router.post("/archivedPVs")
async def archived_pvs(request: Request, view: Reader) -> list[str]:
    """Return those of the PVs in the body that are archived."""
    return [name for name in await names_in(request) if find(view, name) is not None]


@router.post("/unarchivedPVs")
async def unarchived_pvs(request: Request, view: Reader) -> list[str]:
    """Return those of the PVs in the body that are not archived."""
    return [name for name in await names_in(request) if find(view, name) is None]


@router.get("/archivePV")
def archive_pv(view: Operator, pv: Pv) -> list[dict[str, str]]:
    """Make PVs known, so that groups that take only known elements take their samples."""
    return [_archived(view, name) for name in listed(pv)]


@router.post("/archivePV")
async def post_archive_pv(request: Request, view: Operator) -> list[dict[str, str]]:
    """Make the PVs in the body known."""
    return [_archived(view, name) for name in await names_in(request)]


@router.api_route("/pauseArchivingPV", methods=["GET", "POST"])
def pause_archiving_pv(view: Operator, pv: Pv = "") -> dict[str, str] | list[dict[str, str]]:
    """Say that there is no engine here that could pause."""
    return _refused(view, pv, "pause")


@router.api_route("/resumeArchivingPV", methods=["GET", "POST"])
def resume_archiving_pv(view: Operator, pv: Pv = "") -> dict[str, str] | list[dict[str, str]]:
    """Say that there is no engine here that could resume."""
    return _refused(view, pv, "resume")


@router.get("/abortArchivingPV")
@router.get("/changeArchivalParameters")
@router.get("/deletePV")
def refuse(view: Operator) -> dict[str, str]:
    """Say that this is not done here."""
    return {"status": "no", "desc": _NO_ENGINE}


@router.get("/getPolicyList")
def get_policy_list(view: Reader) -> dict[str, str]:
    """Return the policies: one, which is not chosen by PV."""
    return {"Default": "archive groups of forebay.toml"}


@router.get("/getApplianceInfo")
@router.get("/getAppliancesInCluster", include_in_schema=False)
def get_appliance_info(request: Request, view: Reader) -> Any:
    """Return where the parts of the appliance are: all of them here."""
    base = str(request.base_url).removesuffix("/").removesuffix("/mgmt")
    urls = {f"{part}URL": f"{base}/{part}/bpl" for part in _PARTS}
    info = {"identity": IDENTITY, **urls, "dataRetrievalURL": f"{base}/retrieval", "clusterInetPort": ""}
    return info | {"version": VERSION} if request.url.path.endswith("Info") else [info]


@router.get("/getVersions")
def get_versions(view: Reader) -> dict[str, str]:
    """Return the versions of the parts."""
    return {f"{part}_version": VERSION for part in _PARTS}


@router.get("/getApplianceMetrics")
def get_appliance_metrics(view: Reader) -> list[dict[str, str]]:
    """Return how the appliance is doing, in one row."""
    return [{"instance": IDENTITY, "status": "Working", "pvCount": str(len(view.elements()))}]


@router.get("/getApplianceMetricsForAppliance")
def get_appliance_metrics_for_appliance(view: Reader, appliance: str = IDENTITY) -> list[dict[str, str]]:
    """Return how the appliance is doing, as rows for people."""
    if appliance != IDENTITY:
        raise NotFoundError(f"there is no appliance {appliance!r}; this one is {IDENTITY}")
    known = {"Appliance Identity": IDENTITY, "Total PV count": str(len(view.elements()))}
    return [{"source": "mgmt", "name": name, "value": value} for name, value in known.items()]


@router.api_route("/{method:path}", methods=["GET", "POST"], include_in_schema=False)
def no_such_method(view: Reader, method: str) -> None:
    """Say that there is no such method."""
    raise NotFoundError(f"there is no method {method!r} in /mgmt/bpl")


def _named(view: View, pv: str) -> list[str]:
    """Return names as given; in place of a glob those that match it."""
    names: list[str] = []
    for name in listed(pv):
        names += matching(view, glob=name) if any(c in name for c in "*?") and find(view, name) is None else [name]
    return names


def _archived(view: View, name: str) -> dict[str, str]:
    if find(view, name) is not None:
        return {"pvName": name, "status": "Already submitted"}
    view.describe(plain(name), Metadata())
    return {"pvName": name, "status": "Archive request submitted"}


def _refused(view: View, pv: str, what: str) -> dict[str, str] | list[dict[str, str]]:
    names = _named(view, pv)
    if not names:
        raise InvalidInputError("pv is missing; name a PV")
    rows = [{"pvName": name, "validation": _why(view, name, what)} for name in names]
    return rows[0] if len(rows) == 1 else rows


def _why(view: View, name: str, what: str) -> str:
    if find(view, name) is None:
        return f"Trying to {what} PV {name} that is not currently being archived or on an instance that is not active."
    if what == "pause" and status_rows(view, [name])[0]["status"] == PAUSED:
        return f"PV {name} is already paused"
    return f"Cannot {what} PV {name}: {_NO_ENGINE}"
