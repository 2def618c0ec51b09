//! The descriptor of an OVA: OVF 1.0 (DMTF DSP0243) with one virtual machine and its disks.

/// A disk as the descriptor tells it.
pub(super) struct OvfDisk {
    pub(super) file: String,
    pub(super) file_bytes: u64,
    pub(super) virtual_bytes: u64,
}

/// What a point does not tell: an importer asks for it, or takes these.
const PROCESSORS: u32 = 1;
const MEMORY_MIB: u32 = 1024;

/// The descriptor. Disks hang on one SCSI controller in their order.
pub(super) fn descriptor(name: &str, disks: &[OvfDisk]) -> String {
    let name = escaped(name);
    let mut files = String::new();
    let mut sections = String::new();
    let mut items = String::new();
    for (n, disk) in disks.iter().enumerate() {
        let OvfDisk {
            file,
            file_bytes,
            virtual_bytes,
        } = disk;
        let file = escaped(file);
        files.push_str(&format!(
            "    <File ovf:href=\"{file}\" ovf:id=\"file{n}\" ovf:size=\"{file_bytes}\"/>\n"
        ));
        sections.push_str(&format!(
            "    <Disk ovf:capacity=\"{virtual_bytes}\" ovf:diskId=\"disk{n}\" ovf:fileRef=\"file{n}\" \
             ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/>\n"
        ));
        let instance = n + 10;
        items.push_str(&format!(
            "      <Item>\n        <rasd:AddressOnParent>{n}</rasd:AddressOnParent>\n\
             \x20       <rasd:ElementName>Hard disk {}</rasd:ElementName>\n\
             \x20       <rasd:HostResource>ovf:/disk/disk{n}</rasd:HostResource>\n\
             \x20       <rasd:InstanceID>{instance}</rasd:InstanceID>\n        <rasd:Parent>3</rasd:Parent>\n\
             \x20       <rasd:ResourceType>17</rasd:ResourceType>\n      </Item>\n",
            n + 1
        ));
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
{files}  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
{sections}  </DiskSection>
  <VirtualSystem ovf:id="vm">
    <Info>A virtual machine</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="1">
      <Info>The guest's operating system is not known</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual hardware family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>vmx-10</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:ElementName>Processors</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{PROCESSORS}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>Memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>{MEMORY_MIB}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>SCSI controller</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
{items}    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
    )
}

/// Text of XML. Control characters, which XML cannot tell, become blanks.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let text = descriptor("a <b> & \"c\"\n", &[]);
        assert!(text.contains("<Name>a &lt;b&gt; &amp; &quot;c&quot; </Name>"));
    }
}
