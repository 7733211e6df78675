"""WSDLs of the vendors that lead elsewhere."""

from __future__ import annotations

from importlib import resources

from attack_documents import doctypes

_START, _SCHEMA = (
    "<wsdl:definitions ",
    '<s:schema elementFormDefault="qualified" targetNamespace="http://tempuri.org/">',
)


def wsdls(name: str, trap: str, canary_file: str) -> dict[str, bytes]:
    """
    Give them, made of the packaged one.

    :param name: of the vendor.
    :param trap: address that nothing may ask.
    :param canary_file: a file that nothing may read.
    """
    folder = resources.files("airflow_provider_sms") / "vendors" / "wsdl"
    packaged = (folder / f"{name}.wsdl").read_text("utf-8")
    assert _START in packaged
    assert _SCHEMA in packaged

    def with_first(element: str) -> str:
        return packaged.replace("<wsdl:types>", f"{element}<wsdl:types>", 1)

    def with_schema(element: str) -> str:
        return packaged.replace(_SCHEMA, _SCHEMA + element, 1)

    beside = trap.partition(":")[2]
    found = {
        "address of another host": packaged.replace("http://address.invalid/", f"{trap}/soap"),
        "import of a WSDL": with_first(f'<wsdl:import namespace="urn:x" location="{trap}/wsdl"/>'),
        "import of a schema": with_schema(f'<s:import namespace="urn:x" schemaLocation="{trap}/xsd"/>'),
        "include of a schema": with_schema(f'<s:include schemaLocation="{trap}/xsd"/>'),
        "redefinition of a schema": with_schema(f'<s:redefine schemaLocation="{trap}/xsd"/>'),
        "import of a file": with_schema(f'<s:import namespace="urn:x" schemaLocation="{canary_file}"/>'),
        "import without a scheme": with_schema(
            f'<s:import namespace="urn:x" schemaLocation="{beside}/xsd"/>'
        ),
        "base": with_schema('<s:include schemaLocation="xsd"/>').replace(
            _START, f'{_START}xml:base="{trap}/" '
        ),
        "XInclude": with_first(f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{trap}/wsdl"/>'),
    }
    for kind, (doctype, _) in doctypes(trap, canary_file).items():
        found[f"DOCTYPE, {kind}"] = packaged.replace("?>", f"?>{doctype}", 1)
    return {kind: wsdl.encode() for kind, wsdl in found.items()}
